//! One build from PROVISIONING to FINALIZING.
