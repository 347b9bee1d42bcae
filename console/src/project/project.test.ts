import { describe, expect, it } from "vitest";
import { type Draft, get, ofProject, put, tidy, toUpdate } from "./draft";
import { awsCli, shellQuoted, terraform } from "./export";
import { type Field, isShown, meant, STEPS, wrong, wrongs } from "./fields";

const all: Field[] = STEPS.flatMap(({ sections }) => sections.flatMap(({ fields }) => fields));
const field = (path: string) => {
  const found = all.find((one) => one.path === path);
  if (!found) throw new Error(path);
  return found;
};
const drop = (draft: Draft, path: string) => put(draft, path, undefined);

const shop: Draft = {
  name: "shop",
  source: { type: "GITHUB", location: "https://git.example/shop.git", gitCloneDepth: 1 },
  environment: { type: "LINUX_CONTAINER", image: "host", computeType: "BUILD_GENERAL1_SMALL" },
  artifacts: { type: "NO_ARTIFACTS" },
  serviceRole: "arn:aws:iam::000000000000:role/build",
};

describe("a draft", () => {
  it("loses what has nothing, and keeps the rest as it was", () => {
    const without = put(shop, "source.gitCloneDepth", undefined);
    expect(without.source).toEqual({ type: "GITHUB", location: "https://git.example/shop.git" });
    expect(get(shop, "source.gitCloneDepth"), "the one before is not changed").toBe(1);
    expect(put(put(shop, "vpcConfig.vpcId", "vpc-1"), "vpcConfig.vpcId", "")).toEqual(shop);
    expect(put({}, "a.b.c", 0)).toEqual({ a: { b: { c: 0 } } });
  });

  it("is sent without items that nobody filled in, but with empty values of variables", () => {
    const draft = {
      tags: [
        { key: "", value: "" },
        { key: "a", value: "" },
      ],
      vpcConfig: { subnets: ["", "s"] },
    };
    expect(tidy(draft)).toEqual({
      tags: [{ value: "" }, { key: "a", value: "" }],
      vpcConfig: { subnets: ["s"] },
    });
  });

  it("of a project has what can be set, and no more", () => {
    const project = {
      name: "shop",
      arn: "arn:aws:codebuild:us-east-1:000000000000:project/shop",
      created: new Date(0),
      badge: { badgeEnabled: true, badgeRequestUrl: "http://x" },
      secondarySources: [],
      environment: { dockerServer: { computeType: "BUILD_GENERAL1_SMALL", status: { status: "ok" } } },
    };
    expect(ofProject(project as never)).toEqual({
      name: "shop",
      badgeEnabled: true,
      environment: { dockerServer: { computeType: "BUILD_GENERAL1_SMALL" } },
    });
  });

  it("says what was taken away", () => {
    const before = {
      ...shop,
      description: "d",
      tags: [{ key: "a", value: "b" }],
      concurrentBuildLimit: 3,
      badgeEnabled: true,
    };
    const input = toUpdate(shop, before);
    expect(input).toMatchObject({ description: "", tags: [], concurrentBuildLimit: -1, badgeEnabled: false });
    expect(input.vpcConfig, "what was not there is not spoken of").toBeUndefined();
  });
});

describe("fields", () => {
  it("are of every member, once", () => {
    const paths = all.map(({ path }) => path);
    expect(new Set(paths).size).toBe(paths.length);
    const members = new Set(paths.map((path) => path.split(".")[0]));
    expect([...members].sort()).toEqual(
      [
        "artifacts autoRetryLimit badgeEnabled buildBatchConfig cache concurrentBuildLimit description encryptionKey",
        "environment fileSystemLocations logsConfig name queuedTimeoutInMinutes secondaryArtifacts secondarySourceVersions",
        "secondarySources serviceRole source sourceVersion tags timeoutInMinutes vpcConfig",
      ]
        .join(" ")
        .split(" "),
    );
  });

  it("say what is wrong with a value", () => {
    expect(wrong(field("name"), undefined)).toBeDefined();
    for (const name of ["a", "-a", "a b", "a".repeat(151), "ü1"])
      expect(wrong(field("name"), name), name).toBeDefined();
    for (const name of ["ab", "0-_", "a".repeat(150)]) expect(wrong(field("name"), name), name).toBeUndefined();
    const timeout = field("timeoutInMinutes");
    for (const value of [4, 2161, 1.5, "x"]) expect(wrong(timeout, value), `${value}`).toBeDefined();
    for (const value of [undefined, 5, 2160]) expect(wrong(timeout, value), `${value}`).toBeUndefined();
    expect(wrong(field("description"), "x".repeat(256))).toBeDefined();
    expect(wrong(field("vpcConfig.securityGroupIds"), Array(6).fill("sg"))).toBeDefined();
    expect(wrong(field("serviceRole"), "role")).toBeDefined();
  });

  it("count what is wrong where it is shown, in lists too", () => {
    const fields = STEPS[1]?.sections.flatMap((section) => section.fields) ?? [];
    expect(wrongs(fields, shop)).toBe(0);
    expect(wrongs(fields, put(shop, "source.location", undefined))).toBe(1);
    expect(wrongs(fields, put(shop, "source", { type: "NO_SOURCE" }))).toBe(0);
    expect(wrongs(fields, put(shop, "secondarySources", [{ type: "S3", sourceIdentifier: "1" }]))).toBe(2);
  });

  it("that have no meaning beside the others are not sent", () => {
    const odd = put(shop, "artifacts.location", "bucket");
    expect(isShown(field("artifacts.location"), odd)).toBe(false);
    expect(meant(odd, drop)).toEqual(shop);
    expect(meant(put(odd, "artifacts.type", "S3"), drop).artifacts).toEqual({ type: "S3", location: "bucket" });
  });
});

describe("a project elsewhere", () => {
  const odd: Draft = {
    ...shop,
    source: { type: "NO_SOURCE", buildspec: `version: 0.2\nphases:\n  build:\n    commands: ['echo \${HOME} %{x}']\n` },
    environment: {
      ...(shop.environment as Draft),
      environmentVariables: [
        { name: "A", value: `it's "quoted" \${B}`, type: "PLAINTEXT" },
        { name: "C", value: "", type: "PLAINTEXT" },
      ],
    },
    vpcConfig: { vpcId: "vpc-1", subnets: ["a", "b"] },
    tags: [{ key: "team", value: "x" }],
    timeoutInMinutes: 5,
    logsConfig: { cloudWatchLogs: { status: "DISABLED" } },
  };

  it("is one word of a shell", () => {
    expect(shellQuoted("it's")).toBe("'it'\\''s'");
    const command = awsCli(odd, "http://127.0.0.1:5456", "create-project");
    const [, quoted = ""] = command.split("--cli-input-json ");
    const unquoted = quoted.replaceAll("'\\''", "\0").replace(/^'|'$/g, "").replaceAll("\0", "'");
    expect(JSON.parse(unquoted)).toEqual(odd);
  });

  it("is a resource, in which nothing is a template", () => {
    expect(terraform(odd)).toBe(`resource "aws_codebuild_project" "shop" {
  name = "shop"
  service_role = "arn:aws:iam::000000000000:role/build"
  build_timeout = 5

  source {
    type = "NO_SOURCE"
    buildspec = <<EOT
version: 0.2
phases:
  build:
    commands: ['echo $\${HOME} %%{x}']
EOT
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type = "LINUX_CONTAINER"
    image = "host"
    compute_type = "BUILD_GENERAL1_SMALL"

    environment_variable {
      name = "A"
      value = "it's \\"quoted\\" $\${B}"
      type = "PLAINTEXT"
    }

    environment_variable {
      name = "C"
      value = ""
      type = "PLAINTEXT"
    }
  }

  vpc_config {
    vpc_id = "vpc-1"
    subnets = ["a", "b"]
  }

  logs_config {

    cloudwatch_logs {
      status = "DISABLED"
    }
  }

  tags = {
    "team" = "x"
  }
}
`);
  });
});
