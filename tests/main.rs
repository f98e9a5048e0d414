//! The integration tests: one binary.

mod suite {
    mod architecture;
    mod check;
    mod errors;
    mod kinks;
    mod memory;
    mod numpy;
    mod panic;
    mod program;
    mod sample;
    mod table;
    mod trouble;
}
