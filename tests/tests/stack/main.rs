//! The system from within: applications of the tests' own, counted and faulty storage, a clock that is advanced.

mod budgets;
mod concurrency;
mod deletion;
mod fairness;
mod faults;
mod isolation;
mod races;
