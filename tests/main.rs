//! The integration tests: one binary.

mod suite {
    mod architecture;
    mod check;
    mod errors;
    mod example_gradients;
    mod fusion;
    mod kinks;
    mod lines;
    mod memory;
    mod numpy;
    mod panic;
    mod program;
    mod programs;
    mod random;
    mod random_transforms;
    mod sample;
    mod scalar;
    mod scalar_tensor;
    mod table;
    #[cfg(feature = "parallel")]
    mod threads;
    mod transforms;
    mod transforms_checkpoint;
    mod transforms_custom;
    mod transforms_edges;
    mod transforms_implicit;
    mod transforms_implicit_batches;
    mod transforms_mistakes;
    mod transforms_models;
    mod transforms_outputs;
    mod transforms_scan;
    mod transforms_scan_batches;
    mod transforms_scan_nested;
    mod trouble;
}
