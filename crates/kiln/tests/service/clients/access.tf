terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

variable "changed" {
  type    = bool
  default = false
}

# Unlike the others, this one lets the provider ask who it is.
provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    codebuild = var.endpoint
    iam       = var.endpoint
    sts       = var.endpoint
  }
}

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

data "aws_iam_policy_document" "work" {
  statement {
    actions   = var.changed ? ["s3:GetObject", "s3:PutObject"] : ["s3:GetObject"]
    resources = ["arn:aws:s3:::artifacts/$${codebuild:projectArn}/*"]
  }
}

resource "aws_iam_role" "build" {
  name                 = "build"
  path                 = "/builds/"
  description          = var.changed ? "builds everything" : "builds"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  max_session_duration = var.changed ? 7200 : 3600
  permissions_boundary = var.changed ? null : aws_iam_policy.work.arn
  tags                 = var.changed ? { team = "green" } : { team = "blue", stage = "test" }
}

resource "aws_iam_role_policy" "inline" {
  name   = "inline"
  role   = aws_iam_role.build.name
  policy = data.aws_iam_policy_document.work.json
}

resource "aws_iam_policy" "work" {
  name        = "work"
  description = "what builds do"
  policy      = data.aws_iam_policy_document.work.json
  tags        = { team = "blue" }
}

resource "aws_iam_role_policy_attachment" "work" {
  role       = aws_iam_role.build.name
  policy_arn = aws_iam_policy.work.arn
}

resource "aws_iam_role_policy_attachment" "read" {
  role       = aws_iam_role.build.name
  policy_arn = "arn:aws:iam::aws:policy/AWSCodeBuildReadOnlyAccess"
}

resource "aws_iam_user" "alice" {
  name = var.changed ? "alicia" : "alice"
  path = "/people/"
  tags = { team = "blue" }
}

resource "aws_iam_access_key" "alice" {
  user = aws_iam_user.alice.name
}

resource "aws_iam_user_policy" "alice" {
  name   = "own"
  user   = aws_iam_user.alice.name
  policy = jsonencode({ Version = "2012-10-17", Statement = [{ Effect = "Allow", Action = "codebuild:*", Resource = "*" }] })
}

resource "aws_iam_user" "git" {
  name = "git"
}

resource "aws_iam_service_specific_credential" "git" {
  service_name = "codecommit.amazonaws.com"
  user_name    = aws_iam_user.git.name
  status       = var.changed ? "Inactive" : "Active"
}

resource "aws_iam_group" "developers" {
  name = "developers"
}

resource "aws_iam_group_policy_attachment" "developers" {
  group      = aws_iam_group.developers.name
  policy_arn = aws_iam_policy.work.arn
}

resource "aws_iam_user_group_membership" "alice" {
  user   = aws_iam_user.alice.name
  groups = [aws_iam_group.developers.name]
}

resource "aws_codebuild_project" "this" {
  name         = "by-terraform"
  service_role = aws_iam_role.build.arn
  artifacts {
    type = "NO_ARTIFACTS"
  }
  environment {
    compute_type = "BUILD_GENERAL1_SMALL"
    image        = "host"
    type         = "LINUX_CONTAINER"
  }
  source {
    type      = "NO_SOURCE"
    buildspec = "version: 0.2\nphases: {build: {commands: [true]}}"
  }
}
