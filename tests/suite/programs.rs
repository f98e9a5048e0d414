//! Programs that run many times: the values of the tape, errors for what comes from outside.

use super::panic::caught;
use wengert::ErrorKind;
use wengert::prelude::*;

fn model() -> Sequential {
    let mut rng = rng(5);
    wengert::sequential![
        Linear::new(6, 8, &mut rng),
        activation::Relu,
        Linear::new(8, 3, &mut rng),
    ]
}

#[test]
fn a_program_computes_what_the_tape_does_for_every_size_of_batch() {
    let model = model();
    let program = Program::record([ProgramInput::new((None, 6))], |[x]| {
        let y = model.forward(x).softmax(-1);
        (y, y.square().sum().gradient(x))
    })
    .expect("a shape that fits");
    for batch in [0, 1, 2, 7, 100, 7] {
        let x = Tensor::<f32>::uniform([batch, 6], -1.0, 1.0, &mut rng(batch as u64));
        let tape = Tape::new();
        let leaf = tape.leaf(&x);
        let y = model.forward(leaf).softmax(-1);
        let expected = tape.run((y, y.square().sum().gradient(leaf)));
        assert_eq!(program.run([&x]).expect("a batch"), expected);
        // Elements that lie otherwise are the same elements.
        assert_eq!(
            program.run([&x.t().contiguous().t()]).expect("a batch"),
            expected
        );
    }
}

#[test]
fn many_threads_run_one_program() {
    let model = model();
    let program = Program::record([ProgramInput::batch([6])], |[x]| [model.forward(x)]);
    let program = program.expect("a shape that fits");
    let x = Tensor::<f32>::uniform([9, 6], -1.0, 1.0, &mut rng(1));
    let run = |size: isize| {
        let [y] = program.run([&x.slice(0, ..size)]).expect("a batch");
        y
    };
    let expected: Vec<Tensor> = (1..10).map(run).collect();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for size in (1..10).cycle().take(200) {
                    assert_eq!(run(size), expected[size as usize - 1]);
                }
            });
        }
    });
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let inputs = (
        ProgramInput::<f32>::batch([3]),
        ProgramInput::<i64>::batch([]),
    );
    let program =
        Program::record(inputs, |(x, y)| loss::cross_entropy(x, y)).expect("shapes that fit");
    let (x, y) = (Tensor::<f32>::zeros([4, 3]), Tensor::<i64>::zeros([4]));
    let message =
        |x: &Tensor, y: &Tensor<i64>| program.run((x, y)).expect_err("an error").to_string();
    assert_eq!(
        message(&Tensor::zeros([4, 5]), &y),
        "program: input 0 has shape [4, 5], but f32[_, 3] was recorded"
    );
    assert_eq!(
        message(&x, &Tensor::zeros([4, 1])),
        "program: input 1 has shape [4, 1], but i64[_] was recorded"
    );
    assert_eq!(
        message(&x, &Tensor::zeros([5])),
        "program: input 1 has shape [5], but the batch has 4 items by what comes before"
    );
    let outside = message(&x, &Tensor::from([0, 1, 3, 2]));
    assert!(
        outside.contains("gather") && outside.contains("programs.rs"),
        "{outside}"
    );
    // Nothing of it stays behind.
    assert!((program.run((&x, &y)).expect("labels that fit").item() - 3f32.ln()).abs() < 1e-6);
    let several = Program::record(vec![ProgramInput::<f32>::new([2]); 2], |x| x[0] + x[1]);
    let several = several.expect("shapes that fit");
    let error = several.run(&[&Tensor::zeros([2])]).expect_err("too few");
    assert_eq!(
        error.to_string(),
        "program: 1 tensors were given, but it has 2 inputs"
    );
    let huge = Program::record([ProgramInput::<f32>::new([1 << 40, 1 << 40])], |[x]| x);
    assert!(
        huge.expect_err("too large")
            .to_string()
            .contains("too large")
    );
}

#[test]
fn a_batch_that_the_function_cannot_take_is_an_error() {
    let program = Program::record([ProgramInput::<f32>::batch([2])], |[x]| x.max_axes(0));
    let program = program.expect("two items can be compared");
    let error = program
        .run([&Tensor::zeros([0, 2])])
        .expect_err("nothing has no largest");
    assert!(
        error
            .to_string()
            .starts_with("program: a batch of 0 cannot be recorded: max"),
        "{error}"
    );
    assert_eq!(
        program.run([&Tensor::ones([3, 2])]).expect("a batch"),
        Tensor::ones([2])
    );
}

#[test]
fn results_may_be_inputs_constants_and_views() {
    let program = Program::record([ProgramInput::<f32>::new([2, 3])], |[x]| {
        let constant = x.tape().constant(&Tensor::<f32>::from([7.0]));
        (
            [x, x.t()],
            [x.tape().full([2], 1.5f32), x.slice(1, 1..)],
            constant,
        )
    });
    let x = Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let program = program.expect("a shape that fits");
    for _ in 0..2 {
        let ([same, turned], [full, part], constant) =
            program.run([&x]).expect("a shape that fits");
        assert_eq!((same, turned), (x.clone(), x.t()));
        assert_eq!((full, part), (Tensor::from([1.5, 1.5]), x.slice(1, 1..)));
        assert_eq!(constant, Tensor::from([7.0]));
    }
}

#[test]
#[should_panic(expected = "a program is being recorded")]
fn a_value_cannot_be_asked_for_while_a_program_is_recorded() {
    let _ = Program::record([ProgramInput::<f32>::new([1])], |[x]| {
        x.value();
        x
    });
}

#[test]
fn a_training_program_trains_as_recorded_steps_do() {
    let x = Tensor::<f32>::uniform([16, 6], -1.0, 1.0, &mut rng(2));
    let y = Tensor::<i64>::randint([16], 0, 3, &mut rng(3));
    let (mut first, mut second) = (model(), model());
    let (mut sgd, mut adam) = (Sgd::new(0.1).momentum(0.9), Adam::new(1e-2).amsgrad(true));
    let mut others = (sgd.clone(), adam.clone());
    let inputs = || (ProgramInput::batch([6]), ProgramInput::<i64>::batch([]));
    let loss =
        |model: &Sequential, (x, y): (Var, Var<i64>)| loss::cross_entropy(model.forward(x), y);
    let mut with_sgd = TrainingProgram::new(inputs(), loss);
    let mut with_adam = TrainingProgram::new(inputs(), loss);
    for step in 0..30 {
        let size = 16 - step % 3;
        let (x, y) = (x.slice(0, ..size), y.slice(0, ..size));
        let recorded = value_and_grad(&second, |model, tape| {
            loss(model, (tape.constant(&x), tape.constant(&y)))
        });
        let value = if step % 4 == 0 {
            sgd.step(&mut second, &recorded);
            with_sgd.run(&mut first, &mut others.0, (&x, &y))
        } else {
            adam.set_learning_rate(1e-2 / f64::from(step as u32));
            others.1.set_learning_rate(1e-2 / f64::from(step as u32));
            adam.step(&mut second, &recorded);
            with_adam.run(&mut first, &mut others.1, (&x, &y))
        };
        assert_eq!(value.expect("a batch"), recorded.value(), "step {step}");
    }
    // A label outside leaves everything as it was.
    let before: Vec<_> = first
        .named_parameters()
        .iter()
        .map(|(name, _)| name.clone())
        .collect();
    let bad = Tensor::full([16], 9i64);
    assert!(
        with_adam
            .run(&mut first, &mut others.1, (&x, &bad))
            .is_err()
    );
    assert_eq!(before.len(), 4);
    let value = |model: &Sequential| {
        let tape = Tape::new();
        model.forward(tape.constant(&x)).value()
    };
    assert_eq!(value(&first), value(&second));
}

/// More than any processor addresses.
const HUGE: usize = 1 << 50;

#[test]
fn inputs_take_no_memory_until_they_are_given() {
    let program = Program::record([ProgramInput::<f32>::new([HUGE])], |[x]| {
        (x.exp().sum(), x.slice(0, ..3))
    });
    let program = program.expect("a size that can be counted");
    // Its elements lie nowhere in order, so they would be copied.
    let error = program.run([&Tensor::ones([1]).expand([HUGE])]);
    let error = error.expect_err("a copy that is too large");
    assert_eq!(error.kind(), ErrorKind::Memory);
    assert_eq!(
        error.to_string(),
        "program: a copy of input 0: 4503599627370496 bytes cannot be allocated"
    );
}

/// Sums of products with so many columns that their matrix cannot be allocated, unless the batch is empty.
fn outer(x: Var) -> Var {
    x.matmul(x.tape().full([1, HUGE], 0.5f32)).sum()
}

const TOO_LARGE: &str = "matmul: the values of the run take 450359962737";

#[test]
fn values_that_are_too_large_are_errors_that_name_their_bytes() {
    let program = Program::record([ProgramInput::<f32>::batch([1])], |[x]| {
        (outer(x), x.square())
    });
    let program = program.expect("a size that can be counted");
    for _ in 0..2 {
        let error = program
            .run([&Tensor::ones([10, 1])])
            .expect_err("too large");
        assert_eq!(error.kind(), ErrorKind::Memory);
        let message = error.to_string();
        assert!(
            message.starts_with(TOO_LARGE)
                && message.contains("bytes at once, which cannot be allocated (recorded at ")
                && message.contains("programs.rs"),
            "{message}"
        );
        // Another batch is none the worse for it.
        let (sum, square) = program.run([&Tensor::ones([0, 1])]).expect("no elements");
        assert_eq!((sum.item(), square), (0.0, Tensor::zeros([0, 1])));
    }
    // A result that is too large; there is room for the other.
    let program = Program::record([ProgramInput::<f32>::batch([1])], |[x]| {
        (x.square(), x.tape().full([HUGE], 1.0f32) * x.sum())
    });
    let program = program.expect("a size that can be counted");
    let error = program.run([&Tensor::ones([4, 1])]).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Memory);
    // Several, whose sum cannot be counted any more, within the run and as results.
    let program = Program::record([ProgramInput::<f32>::batch([1])], |[x]| {
        let wide = x.tape().full([1, HUGE << 6], 0.5f32);
        let products = (0..8).map(|k| (x * k as f32).matmul(wide));
        [products.reduce(|a, b| a + b).expect("some").sum()]
    });
    let program = program.expect("sizes that can be counted");
    let error = program
        .run([&Tensor::ones([10, 1])])
        .expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Memory);
    let program = Program::record([ProgramInput::<f32>::batch([])], |[x]| {
        let huge = x.tape().full([HUGE << 9], 1.0f32) * x.sum();
        std::array::from_fn::<_, 20, _>(|k| huge * k as f32)
    });
    let program = program.expect("sizes that can be counted");
    let error = program.run([&Tensor::ones([1])]).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Memory);
}

#[test]
fn a_step_that_is_too_large_leaves_model_and_optimizer_as_they_were() {
    let mut model = Param::new(Tensor::from([2.0f32]));
    let mut adam = Adam::new(0.1);
    let mut step = TrainingProgram::new([ProgramInput::<f32>::batch([1])], |w: &Param, [x]| {
        outer(x) + w.on(x.tape()).square().sum()
    });
    let fine = Tensor::<f32>::zeros([0, 1]);
    let mut run = |model: &mut Param, adam: &mut Adam, x: &Tensor| step.run(model, adam, [x]);
    run(&mut model, &mut adam, &fine).expect("no elements");
    let (before, mut saved) = (model.value().clone(), adam.clone());
    let error = run(&mut model, &mut adam, &Tensor::ones([10, 1])).expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Memory);
    assert!(error.to_string().starts_with(TOO_LARGE), "{error}");
    assert_eq!(model.value(), &before);
    // It goes on as if nothing had been.
    run(&mut model, &mut adam, &fine).expect("no elements");
    let after = model.value().clone();
    model.set(before);
    run(&mut model, &mut saved, &fine).expect("no elements");
    assert_eq!(model.value(), &after);
}

#[test]
fn values_of_a_tape_that_are_too_large_panic_where_they_are_asked_for() {
    let tape = Tape::new();
    let x = tape.leaf(&Tensor::<f32>::ones([10, 1]));
    let y = outer(x);
    let here = line!();
    let panics = [
        caught(|| y.value()),
        caught(|| tape.run((y, x.exp()))),
        caught(|| tape.run_checked(y)),
        caught(|| tape.run_profiled(y)),
    ];
    for (k, panic) in panics.iter().enumerate() {
        assert!(panic.message.starts_with(TOO_LARGE), "{}", panic.message);
        assert_eq!(panic.line, here + 2 + k as u32, "{}", panic.message);
        assert!(panic.file.ends_with("programs.rs"));
    }
    let panic = caught(|| y.reference_value());
    assert!(panic.message.contains("bytes cannot be allocated"));
    // The tape is still good for what fits, and can say what does not.
    assert_eq!(x.sum().value().item(), 10.0);
    assert!(tape.explain(y).peak_bytes() > HUGE);
    let panic = caught(|| std::hint::black_box(Tensor::<f32>::zeros([HUGE])));
    assert_eq!(panic.message, "4503599627370496 bytes cannot be allocated");
    assert_eq!(panic.line, line!() - 2);
}

#[test]
fn a_clone_of_an_optimizer_has_a_state_of_its_own() {
    let mut model = Param::new(Tensor::from([0.5f32, 2.0]));
    let mut adam = Adam::new(0.1);
    let mut step = TrainingProgram::new([ProgramInput::<f32>::new([2])], |w: &Param, [x]| {
        (w.on(x.tape()) * x).square().sum()
    });
    let x = Tensor::from([1.0f32, -2.0]);
    let mut run = |model: &mut Param, adam: &mut Adam| {
        step.run(model, adam, [&x]).expect("a step");
        model.value().clone()
    };
    let before = run(&mut model, &mut adam);
    let mut saved = adam.clone();
    let after = [0; 3].map(|_| run(&mut model, &mut adam));
    model.set(before);
    assert_eq!([0; 3].map(|_| run(&mut model, &mut saved)), after);
}
