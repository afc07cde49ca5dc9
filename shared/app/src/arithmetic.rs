//! Plain hooks: no waiting, so no `async`.

use actingweb_hooks::prelude::*;

/// Two numbers.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Addends {
    /// The first one.
    a: f64,
    /// The second one.
    b: f64,
}

/// A number that came out.
#[derive(Debug, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Computed {
    /// The number.
    result: f64,
}

/// One operation on two numbers.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Calculation {
    /// What to do with them.
    operation: Operation,
    /// The left operand.
    a: f64,
    /// The right operand.
    b: f64,
}

/// What can be calculated.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    /// `a + b`
    Add,
    /// `a - b`
    Subtract,
    /// `a * b`
    Multiply,
    /// `a / b`
    Divide,
}

/// Method `add_numbers`.
pub(crate) fn add_numbers(Input(Addends { a, b }): Input<Addends>) -> Result<Computed, HookError> {
    finite(a + b)
}

/// Method `calculate`.
pub(crate) fn calculate(Input(Calculation { operation, a, b }): Input<Calculation>) -> Result<Computed, HookError> {
    match operation {
        Operation::Add => finite(a + b),
        Operation::Subtract => finite(a - b),
        Operation::Multiply => finite(a * b),
        Operation::Divide if b == 0.0 => Err(HookError::invalid("`b` must not be 0 in a division")),
        Operation::Divide => finite(a / b),
    }
}

/// JSON has no infinity: it would arrive as `null`.
fn finite(result: f64) -> Result<Computed, HookError> {
    if result.is_finite() {
        return Ok(Computed { result });
    }
    Err(HookError::invalid("the result is too large for a 64-bit floating-point number"))
}
