//! Shapes and names of AWS CodeBuild: phases, statuses, compute types, reports.
