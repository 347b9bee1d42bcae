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
    codebuild  = var.endpoint
    codecommit = var.endpoint
    iam        = var.endpoint
    sts        = var.endpoint
  }
}

resource "aws_codecommit_repository" "app" {
  repository_name = var.changed ? "renamed" : "app"
  description     = var.changed ? "changed" : "as it was"

  tags = {
    team = var.changed ? "green" : "blue"
  }
}

resource "aws_codebuild_project" "app" {
  name         = "app"
  service_role = "arn:aws:iam::000000000000:role/kiln-default-build-role"

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

resource "aws_codecommit_trigger" "app" {
  repository_name = aws_codecommit_repository.app.repository_name

  trigger {
    name            = "build"
    events          = ["all"]
    branches        = var.changed ? ["main", "release"] : ["main"]
    destination_arn = aws_codebuild_project.app.arn
  }
}
