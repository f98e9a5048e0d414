//! Losses of classes against NumPy, at extreme logits, and with targets that do not fit.

use crate::{Shape, Tape, Tensor, Var, loss};

fn close(x: Var<f64>, expected: &[f64], tolerance: f64) {
    let found = x.value().to_vec();
    assert_eq!(found.len(), expected.len());
    for (x, y) in found.iter().zip(expected) {
        assert!(
            (x - y).abs() <= tolerance * y.abs().max(1.0),
            "{found:?}, not {expected:?}"
        );
    }
}

#[test]
fn binary_cross_entropy_of_probabilities() {
    let tape = Tape::new();
    let p = tape.leaf(&Tensor::from([0.9, 0.2, 0.5, 1e-3]));
    let y = tape.leaf(&Tensor::from([1.0, 0.0, 0.25, 1.0]));
    let item = loss::item::binary_cross_entropy(p, y);
    let values = [
        0.10536051565782628,
        0.22314355131420976,
        std::f64::consts::LN_2,
        6.907755278982137,
    ];
    close(item, &values, 1e-14);
    let [dp, dy] = item.sum().gradients([p, y]);
    close(dp, &[-1.1111111111111112, 1.25, 1.0, -1000.0], 1e-12);
    // ln((1 - p) / p)
    let logits = [0.1f64 / 0.9, 4.0, 1.0, 999.0].map(f64::ln);
    close(dy, &logits, 1e-13);
    // y / p^2 + (1 - y) / (1 - p)^2
    close(
        dp.sum().gradient(p),
        &[1.0 / 0.81, 1.0 / 0.64, 4.0, 1e6],
        1e-10,
    );
}

#[test]
fn probabilities_of_nought_and_one_give_finite_numbers() {
    let tape = Tape::new();
    let p = tape.leaf(&Tensor::from([0.0, 0.0, 1.0, 1.0]));
    let y = tape.constant(&Tensor::from([0.0, 1.0, 0.0, 1.0]));
    let item = loss::item::binary_cross_entropy(p, y);
    close(item, &[0.0, 100.0, 100.0, 0.0], 0.0);
    close(item.sum().gradient(p), &[0.0, -1e12, 1e12, 0.0], 0.0);
    let outside = tape.constant(&Tensor::from([-0.1, 1.1]));
    let item = loss::item::binary_cross_entropy(outside, tape.full([2], 0.5));
    assert!(item.value().iter().all(f64::is_nan));
}

#[test]
fn binary_cross_entropy_of_logits() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from([2.0, -3.0, 0.5, -7.0]));
    let y = tape.leaf(&Tensor::from([1.0, 0.0, 0.25, 1.0]));
    let item = loss::item::binary_cross_entropy_with_logits(z, y);
    let values = [
        0.1269280110429725,
        0.04858735157374206,
        0.8490769841801067,
        7.000911466453775,
    ];
    close(item, &values, 1e-14);
    let [dz, dy] = item.sum().gradients([z, y]);
    let slopes = [
        -0.11920292202211769,
        0.04742587317756678,
        0.3724593312018546,
        -0.9990889488055994,
    ];
    close(dz, &slopes, 1e-14);
    close(dy, &[-2.0, 3.0, -0.5, 7.0], 0.0);
    let mean = loss::binary_cross_entropy_with_logits(z, y);
    close(mean, &[values.iter().sum::<f64>() / 4.0], 1e-14);
    close(mean.gradient(z), &slopes.map(|x| x / 4.0), 1e-14);
}

#[test]
fn extreme_logits_of_two_classes() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from([1e4f32, 1e4, -1e4, -1e4, 20.0, -20.0]));
    let y = tape.constant(&Tensor::from([0.0f32, 1.0, 0.0, 1.0, 1.0, 0.0]));
    let item = loss::item::binary_cross_entropy_with_logits(z, y);
    // ln(1 + exp(-20)): small losses are exact.
    let small = 2.061_153_6e-9;
    let values = Tensor::from([1e4, 0.0, 0.0, 1e4, small, small]);
    assert!(
        item.value().all_close(&values, 1e-6, 0.0),
        "{:?}",
        item.value()
    );
    let slopes = Tensor::from([1.0, 0.0, 0.0, -1.0, 0.0, 2.061_153_6e-9]);
    let found = item.sum().gradient(z).value();
    assert!(found.all_close(&slopes, 1e-6, 1e-12), "{found:?}");
}

#[test]
fn cross_entropy_of_classes() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]));
    let classes = tape.constant(&Tensor::from([2, 0]));
    let item = loss::item::cross_entropy(z, classes);
    let values = [1.0045969023422834, 3.0658839037574293];
    close(item, &values, 1e-14);
    let mean = loss::cross_entropy(z, classes);
    close(mean, &[(values[0] + values[1]) / 2.0], 1e-14);
    let slopes = [
        0.3018744480743129,
        0.015029443784787011,
        -0.31690389185909984,
        -0.47669368871101303,
        0.4681197759382529,
        0.008573912772760194,
    ];
    close(mean.gradient(z), &slopes, 1e-14);
    close(
        loss::sum::cross_entropy(z, classes).gradient(z),
        &slopes.map(|x| 2.0 * x),
        1e-14,
    );
}

#[test]
fn cross_entropy_of_rows() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from([[1.0, -2.0, 0.5], [0.0, 3.0, -1.0]]));
    let rows = tape.constant(&Tensor::from([[0.2, 0.3, 0.5], [0.0, 0.9, 0.1]]));
    let item = loss::item::cross_entropy(z, rows);
    close(item, &[1.6545969023422833, 0.46588390375742916], 1e-14);
    let slopes = [
        0.2018744480743129,
        -0.13497055621521298,
        -0.06690389185909987,
        0.023306311288986945,
        0.01811977593825287,
        -0.04142608722723981,
    ];
    close(loss::cross_entropy(z, rows).gradient(z), &slopes, 1e-14);
}

#[test]
fn extreme_logits_of_several_classes() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from([
        [1e4f32, -1e4, 0.0],
        [1e4, -1e4, 0.0],
        [1e4, 1e4, 1e4],
    ]));
    let classes = tape.constant(&Tensor::from([0, 1, 2]));
    let item = loss::item::cross_entropy(z, classes);
    let values = Tensor::from([0.0, 2e4, 3f32.ln()]);
    assert!(
        item.value().all_close(&values, 1e-6, 0.0),
        "{:?}",
        item.value()
    );
    let third = 1.0f32 / 3.0;
    let slopes = Tensor::from([
        [0.0, 0.0, 0.0],
        [1.0, -1.0, 0.0],
        [third, third, third - 1.0],
    ]);
    let found = item.sum().gradient(z).value();
    assert!(found.all_close(&slopes, 1e-6, 1e-7), "{found:?}");
}

#[test]
fn leading_axes_are_items() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f64>::zeros([2, 3, 4]));
    let classes = tape.constant(&Tensor::<i64>::ones([2, 3]));
    let item = loss::item::cross_entropy(z, classes);
    assert_eq!(item.shape(), Shape::from([2, 3]));
    close(loss::cross_entropy(z, classes), &[4f64.ln()], 1e-14);
    close(
        loss::sum::cross_entropy(z, classes),
        &[6.0 * 4f64.ln()],
        1e-14,
    );
    let one = loss::item::cross_entropy(z.at(0, 0).at(0, 0), classes.at(0, 0).at(0, 0));
    assert_eq!(one.shape(), Shape::from([]));
    // A label that is computed is looked at when the loss is run.
    close(one, &[4f64.ln()], 1e-14);
}

#[test]
fn no_items_sum_to_nothing() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f64>::zeros([0, 4]));
    let classes = tape.constant(&Tensor::<i64>::zeros([0]));
    close(loss::sum::cross_entropy(z, classes), &[0.0], 0.0);
    assert!(loss::cross_entropy(z, classes).value().item().is_nan());
}

#[test]
#[should_panic(expected = "cross_entropy: label 11 at [1, 0] is outside 0..10")]
fn a_label_outside_the_classes_is_refused() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f32>::zeros([2, 2, 10]));
    loss::cross_entropy(z, tape.constant(&Tensor::from([[0, 9], [11, -1]])));
}

#[test]
#[should_panic(expected = "label -1 at [0] is outside 0..10")]
fn negative_labels_do_not_count_from_the_back() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f32>::zeros([1, 10]));
    loss::cross_entropy(z, tape.constant(&Tensor::from([-1])));
}

#[test]
#[should_panic(
    expected = "the logits have shape [2, 10], so the classes must have shape [2], not [2, 1]"
)]
fn classes_have_no_axis_of_their_own() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f32>::zeros([2, 10]));
    loss::cross_entropy(z, tape.constant(&Tensor::from([[1], [2]])));
}

#[test]
#[should_panic(expected = "the logits have shape [2, 10], the rows of probabilities [10]")]
fn rows_are_not_broadcast() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f32>::zeros([2, 10]));
    loss::cross_entropy(z, tape.constant(&Tensor::<f32>::zeros([10])));
}

#[test]
#[should_panic(expected = "cross_entropy: the logits are a scalar")]
fn a_scalar_has_no_classes() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::from(1.0));
    loss::cross_entropy(z, tape.constant(&Tensor::from(0)));
}

#[test]
#[should_panic(
    expected = "binary_cross_entropy_with_logits: the prediction has shape [2, 1], the target [2]"
)]
fn columns_and_rows_are_not_compared() {
    let tape = Tape::new();
    let z = tape.leaf(&Tensor::<f32>::zeros([2, 1]));
    loss::binary_cross_entropy_with_logits(z, tape.constant(&Tensor::from([0.0, 1.0])));
}
