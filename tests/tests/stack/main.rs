//! The system from within: applications of the tests' own, counted and faulty storage, a clock that is advanced.

mod budgets;
mod deletion;
mod faults;
mod races;
