terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

# Keeps events for longer, and has other tags.
variable "changed" {
  type    = bool
  default = false
}

provider "aws" {
  region                      = "us-east-1"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_requesting_account_id  = true
  endpoints {
    logs = var.endpoint
  }
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/terraform"
  retention_in_days = var.changed ? 30 : 7
  tags              = var.changed ? { team = "green" } : { team = "blue", stage = "test" }
}

resource "aws_cloudwatch_log_stream" "this" {
  name           = "made/by/terraform"
  log_group_name = aws_cloudwatch_log_group.this.name
}
