//! The messages authors meet when a hook's types do not fit: each names what is wrong and how to mend it.
//!
//! After a change of compiler or message, run with `TRYBUILD=overwrite` and read the difference as an author would.

#[test]
fn misuse_is_a_compile_error_that_names_the_fix() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
