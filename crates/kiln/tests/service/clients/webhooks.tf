terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

# A filter of branches instead of groups.
variable "branches" {
  type    = bool
  default = false
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    codebuild = var.endpoint
  }
}

resource "aws_codebuild_project" "this" {
  for_each     = toset(["made", "manual"])
  name         = each.key
  service_role = "arn:aws:iam::000000000000:role/kiln-default-build-role"
  tags         = { "kiln:superseded-builds" = "stop" }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type         = "LINUX_CONTAINER"
    image        = "host"
    compute_type = "BUILD_GENERAL1_SMALL"
  }

  source {
    type     = "GITHUB"
    location = "https://github.com/octocat/hello.git"
  }
}

resource "aws_codebuild_webhook" "made" {
  project_name  = aws_codebuild_project.this["made"].name
  build_type    = "BUILD"
  branch_filter = var.branches ? "^main$" : null

  dynamic "filter_group" {
    for_each = var.branches ? [] : ["PUSH", "PULL_REQUEST_CREATED, PULL_REQUEST_UPDATED"]
    content {
      filter {
        type    = "EVENT"
        pattern = filter_group.value
      }
      filter {
        type                    = "HEAD_REF"
        pattern                 = "^refs/heads/wip/"
        exclude_matched_pattern = true
      }
    }
  }
}

resource "aws_codebuild_webhook" "manual" {
  project_name    = aws_codebuild_project.this["manual"].name
  manual_creation = true
}
