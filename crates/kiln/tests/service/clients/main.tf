terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

# Takes back what can be taken back.
variable "plain" {
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
  name                   = "terraform"
  description            = var.plain ? null : "made by Terraform"
  service_role           = "arn:aws:iam::000000000000:role/kiln-default-build-role"
  concurrent_build_limit = var.plain ? null : 3
  tags                   = var.plain ? {} : { team = "blue", stage = "test" }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  cache {
    type  = "LOCAL"
    modes = ["LOCAL_CUSTOM_CACHE"]
  }

  environment {
    type         = "LINUX_CONTAINER"
    image        = "host"
    compute_type = "BUILD_GENERAL1_SMALL"

    environment_variable {
      name  = "WORD"
      value = "clay"
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name  = "builds"
      stream_name = "terraform"
    }
  }

  source {
    type      = "NO_SOURCE"
    buildspec = "version: 0.2\nphases:\n  build:\n    commands: [\"echo $WORD\"]\n"
  }
}

resource "aws_codebuild_source_credential" "this" {
  auth_type   = "PERSONAL_ACCESS_TOKEN"
  server_type = "GITHUB"
  token       = "example"
}
