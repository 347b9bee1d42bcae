terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

variable "endpoint" {
  type = string
}

# Says less, and something else.
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
    kms = var.endpoint
  }
}

resource "aws_kms_key" "this" {
  description             = var.changed ? "changed by Terraform" : "made by Terraform"
  enable_key_rotation     = !var.changed
  rotation_period_in_days = var.changed ? null : 180
  deletion_window_in_days = 7
  is_enabled              = !var.changed
  tags                    = var.changed ? {} : { team = "blue", stage = "test" }
  policy = jsonencode({
    Version = "2012-10-17"
    Id      = "of-terraform"
    Statement = [{
      Sid       = "Everything"
      Effect    = "Allow"
      Principal = { AWS = "arn:aws:iam::000000000000:root" }
      Action    = "kms:*"
      Resource  = "*"
    }]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/terraform"
  target_key_id = aws_kms_key.this.key_id
}

data "aws_kms_alias" "s3" {
  name = "alias/aws/s3"
}

output "key" {
  value = aws_kms_key.this.arn
}
