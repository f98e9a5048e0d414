//! Programs that run many times: the values of the tape, errors for what comes from outside.

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
        ProgramInput::<i64>::batch(()),
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
    let inputs = || (ProgramInput::batch([6]), ProgramInput::<i64>::batch(()));
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
