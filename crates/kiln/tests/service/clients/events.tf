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

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    codebuild = var.endpoint
    events    = var.endpoint
    iam       = var.endpoint
    sts       = var.endpoint
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com", "events.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "start" {
  statement {
    actions   = ["codebuild:StartBuild"]
    resources = [aws_codebuild_project.this.arn]
  }
}

resource "aws_iam_role" "this" {
  name               = "starter"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "start" {
  name   = "start"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.start.json
}

resource "aws_codebuild_project" "this" {
  name         = "by-terraform"
  service_role = aws_iam_role.this.arn
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
    buildspec = "version: 0.2\nphases: {build: {commands: ['true']}}"
  }
}

resource "aws_cloudwatch_event_rule" "nightly" {
  name                = "nightly"
  description         = var.changed ? "changed by Terraform" : "made by Terraform"
  schedule_expression = var.changed ? "rate(12 hours)" : "cron(0 3 * * ? *)"
  state               = var.changed ? "DISABLED" : "ENABLED"
  tags                = var.changed ? {} : { team = "blue" }
}

resource "aws_cloudwatch_event_target" "nightly" {
  rule     = aws_cloudwatch_event_rule.nightly.name
  arn      = aws_codebuild_project.this.arn
  role_arn = aws_iam_role.this.arn
  input    = jsonencode({ sourceVersion = var.changed ? "v2" : "v1" })
}

resource "aws_cloudwatch_event_rule" "push" {
  name_prefix = "push-"
  event_pattern = jsonencode({
    source      = ["aws.codecommit"]
    detail-type = ["CodeCommit Repository State Change"]
    detail      = { referenceType = ["branch"], referenceName = [{ prefix = var.changed ? "hotfix/" : "release/" }] }
  })
}

resource "aws_cloudwatch_event_target" "push" {
  rule      = aws_cloudwatch_event_rule.push.name
  target_id = "build"
  arn       = aws_codebuild_project.this.arn
  role_arn  = aws_iam_role.this.arn
  input_transformer {
    input_paths    = { commit = "$.detail.commitId" }
    input_template = "{\"sourceVersion\": <commit>}"
  }
  retry_policy {
    maximum_event_age_in_seconds = var.changed ? 3600 : 600
    maximum_retry_attempts       = 10
  }
}
