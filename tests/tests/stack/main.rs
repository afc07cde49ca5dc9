//! The system from within: applications of the tests' own, counted and faulty storage, a clock that is advanced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests may panic as tests do"
)]

mod attacks;
mod attribute_lists;
mod authorization;
mod bedrock_budget;
mod bot;
mod browsers;
mod budgets;
mod cancelled;
mod changes;
mod concurrency;
mod deletion;
mod delivery;
mod devtest;
mod fairness;
mod faults;
mod idempotency;
mod indexed;
mod isolation;
mod large_values;
mod late_writes;
mod list_model;
mod listing;
mod lists;
mod mcp;
mod mcp_access;
mod mcp_closed;
mod mcp_tasks;
mod mcp_transport;
mod oauth_budgets;
mod oauth_clients;
mod oauth_closed;
mod oauth_faults;
mod oauth_flow;
mod oauth_grants;
mod oauth_grants_model;
mod oauth_manage;
mod oauth_pages;
mod oauth_refusals;
mod oauth_seen;
mod peers;
mod races;
mod receiving;
mod receiving_attacks;
mod receiving_gaps;
mod schedules;
mod services;
mod signin;
mod signin_apps;
mod signin_email;
mod signin_faults;
mod signin_identities;
mod signin_kept;
mod signin_names;
mod signin_providers;
mod signin_records;
mod streaming;
mod subscriptions;
mod tasks;
mod trust;
mod trust_attacks;
mod trust_permissions;
mod trust_rotation;
