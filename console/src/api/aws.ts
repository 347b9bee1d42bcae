// Shapes of services that are called without a client of their own. Times are seconds since the epoch.

export interface Repository {
  repositoryName: string;
  repositoryArn: string;
  repositoryUri: string;
  createdAt?: number;
  imageTagMutability?: string;
}

export interface Image {
  imageDigest: string;
  imageTags?: string[];
  imageSizeInBytes?: number;
  imagePushedAt?: number;
  lastRecordedPullTime?: number;
  artifactMediaType?: string;
  imageManifestMediaType?: string;
}

export interface Secret {
  Name: string;
  ARN: string;
  Description?: string;
  LastChangedDate?: number;
  LastAccessedDate?: number;
  DeletedDate?: number;
}

export interface SecretValue {
  VersionId: string;
  SecretString?: string;
  SecretBinary?: string;
}

export interface Parameter {
  Name: string;
  ARN?: string;
  Type: string;
  Description?: string;
  Version?: number;
  LastModifiedDate?: number;
  LastModifiedUser?: string;
}

/** A time, as `Date`. */
export function time(seconds: number | undefined): Date | undefined {
  return seconds === undefined ? undefined : new Date(seconds * 1000);
}

/** A repository of CodeCommit. */
export interface GitRepository {
  repositoryName: string;
  Arn: string;
  repositoryDescription?: string;
  defaultBranch?: string;
  lastModifiedDate?: number;
  cloneUrlHttp: string;
}

export interface GitCommit {
  commitId: string;
  message?: string;
  author?: { name?: string; date?: string };
}
