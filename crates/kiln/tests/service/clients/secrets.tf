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

# A value that is nowhere else.
variable "value" {
  type      = string
  sensitive = true
}

provider "aws" {
  region                  = "us-east-1"
  skip_metadata_api_check = true
  endpoints {
    codebuild      = var.endpoint
    iam            = var.endpoint
    kms            = var.endpoint
    secretsmanager = var.endpoint
    ssm            = var.endpoint
    sts            = var.endpoint
  }
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["codebuild.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "work" {
  statement {
    actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["*"]
  }
  statement {
    actions   = ["ssm:GetParameters"]
    resources = [aws_ssm_parameter.this.arn]
  }
  statement {
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [aws_secretsmanager_secret.this.arn]
  }
}

resource "aws_iam_role" "build" {
  name               = "build"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

resource "aws_iam_role_policy" "work" {
  name   = "work"
  role   = aws_iam_role.build.name
  policy = data.aws_iam_policy_document.work.json
}

resource "aws_secretsmanager_secret" "this" {
  name                    = "by-terraform"
  description             = var.changed ? "changed by Terraform" : "made by Terraform"
  recovery_window_in_days = 7
  tags                    = var.changed ? {} : { team = "blue" }
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id     = aws_secretsmanager_secret.this.id
  secret_string = jsonencode({ user = "bob", password = var.changed ? "${var.value}-changed" : var.value })
}

resource "aws_ssm_parameter" "this" {
  name        = "/by-terraform/value"
  type        = "SecureString"
  value       = var.changed ? "${var.value}-changed" : var.value
  description = var.changed ? "changed by Terraform" : "made by Terraform"
  tags        = var.changed ? {} : { team = "blue" }
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
    environment_variable {
      name  = "PARAMETER"
      type  = "PARAMETER_STORE"
      value = aws_ssm_parameter.this.name
    }
    environment_variable {
      name  = "SECRET"
      type  = "SECRETS_MANAGER"
      value = "${aws_secretsmanager_secret.this.arn}:password"
    }
  }
  source {
    type      = "NO_SOURCE"
    buildspec = "version: 0.2\nphases: {build: {commands: ['test \"$PARAMETER\" = \"$SECRET\"', 'echo found: $SECRET']}}"
  }
}
