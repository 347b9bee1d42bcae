//! Resource policies. They are checked, kept and answered; who may do what is decided with them in [`crate::iam`].

use kiln_iam::policy::{Kind, Policy};
use kiln_model::{
    ApiError,
    codebuild::{
        DeleteResourcePolicyInput, DeleteResourcePolicyOutput, GetResourcePolicyInput, GetResourcePolicyOutput,
        PutResourcePolicyInput, PutResourcePolicyOutput,
    },
};

use crate::{
    core::Core,
    records::{Refused, refuse},
    runners::Runners,
};

impl<R: Runners> Core<R> {
    /// The project that a policy is of; report groups have none here yet.
    fn policy_project(&self, arn: &str) -> Result<String, ApiError> {
        match self.inner.config.home.local("project", arn) {
            Some(name) => Ok(name.to_owned()),
            None => Err(ApiError::not_found(format!("Resource {arn} does not exist"))),
        }
    }

    pub(super) async fn put_policy(&self, input: PutResourcePolicyInput) -> Result<PutResourcePolicyOutput, ApiError> {
        let name = self.policy_project(&input.resource_arn)?;
        Policy::parse(Kind::Project, &input.policy).map_err(|error| ApiError::invalid_input(error.to_string()))?;
        let (arn, policy) = (input.resource_arn.clone(), input.policy);
        let work = self.inner.transact(move |tx| {
            if tx.project(&name)?.is_none() {
                return Err(Refused::Api(ApiError::not_found(format!("Resource {arn} does not exist"))));
            }
            Ok(tx.put_resource_policy(&arn, &policy)?)
        });
        work.await?;
        Ok(PutResourcePolicyOutput { resource_arn: input.resource_arn })
    }

    pub(super) fn policy(&self, input: &GetResourcePolicyInput) -> Result<GetResourcePolicyOutput, ApiError> {
        let policy = self.inner.metadata.read(|view| view.resource_policy(&input.resource_arn));
        match policy.map_err(|e| refuse(&e))? {
            Some(policy) => Ok(GetResourcePolicyOutput { policy }),
            None => Err(ApiError::not_found(format!("{} has no resource policy", input.resource_arn))),
        }
    }

    pub(super) async fn delete_policy(
        &self,
        input: DeleteResourcePolicyInput,
    ) -> Result<DeleteResourcePolicyOutput, ApiError> {
        let work = self.inner.metadata.write(move |tx| tx.delete_resource_policy(&input.resource_arn));
        work.await.map_err(|e| refuse(&e))?;
        Ok(DeleteResourcePolicyOutput {})
    }
}
