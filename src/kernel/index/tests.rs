use super::*;
use crate::kernel::sample;
use rand::RngExt;
use rand::rngs::StdRng;

fn numbers(rng: &mut StdRng, len: usize) -> Vec<i64> {
    (0..len).map(|_| rng.random_range(-1000..1000)).collect()
}

/// Indices in `0..size` laid out at random; what lies between them is out of range.
fn random_index(rng: &mut StdRng, shape: &Shape, size: usize) -> (Vec<i64>, Layout) {
    let (layout, len) = sample::layout(rng, shape, true);
    let mut index = vec![i64::MIN; len];
    for at in sample::indices(shape) {
        index[layout.position(&at)] = rng.random_range(0..size as i64);
    }
    (index, layout)
}

/// A shape that has axes, one of them, and a shape that is nowhere larger but perhaps along that axis.
fn shapes(rng: &mut StdRng) -> (Shape, usize, Shape) {
    loop {
        let shape = sample::shape(rng);
        if shape.rank() == 0 {
            continue;
        }
        let axis = rng.random_range(0..shape.rank());
        if shape[axis] == 0 {
            continue;
        }
        let mut smaller: Shape = shape
            .iter()
            .map(|&n| if rng.random_bool(0.5) { n } else { n / 2 })
            .collect();
        smaller = smaller.with_size(axis, rng.random_range(0..7));
        return (shape, axis, smaller);
    }
}

fn with(at: &[usize], axis: usize, i: i64) -> Vec<usize> {
    let mut at = at.to_vec();
    at[axis] = i as usize;
    at
}

#[test]
fn gather_and_scatter_add_by_definition() {
    let mut rng = sample::generator(7);
    for _ in 0..1500 {
        let (shape, axis, index_shape) = shapes(&mut rng);
        let (index, index_layout) = random_index(&mut rng, &index_shape, shape[axis]);
        let order = Layout::contiguous(index_shape.clone());

        let (layout, len) = sample::layout(&mut rng, &shape, true);
        let source = numbers(&mut rng, len);
        let mut expected = vec![0; index_shape.size()];
        for at in sample::indices(&index_shape) {
            let i = index[index_layout.position(&at)];
            expected[order.position(&at)] = source[layout.position(&with(&at, axis, i))];
        }
        let mut out = vec![77; expected.len()];
        gather(&source, &layout, axis, &index, &index_layout, &mut out).unwrap();
        assert_eq!(out, expected, "{layout:?} {axis} {index_layout:?}");

        let larger = index_shape
            .iter()
            .map(|&n| n + rng.random_range(0..2))
            .collect();
        let (layout, len) = sample::layout(&mut rng, &larger, true);
        let source = numbers(&mut rng, len);
        let order = Layout::contiguous(shape.clone());
        let mut out = numbers(&mut rng, shape.size());
        let mut expected = out.clone();
        for at in sample::indices(&index_shape) {
            let i = index[index_layout.position(&at)];
            expected[order.position(&with(&at, axis, i))] += source[layout.position(&at)];
        }
        scatter_add(
            &mut out,
            &shape,
            axis,
            &index,
            &index_layout,
            &source,
            &layout,
        )
        .unwrap();
        assert_eq!(out, expected, "{layout:?} {axis} {index_layout:?}");
    }
}

#[test]
fn index_select_and_index_add_by_definition() {
    let mut rng = sample::generator(8);
    for _ in 0..1500 {
        let (shape, axis, _) = shapes(&mut rng);
        let count = rng.random_range(0..7);
        let (index, index_layout) = random_index(&mut rng, &Shape::from([count]), shape[axis]);
        let short = shape.with_size(axis, count);
        let order = Layout::contiguous(short.clone());

        let (layout, len) = sample::layout(&mut rng, &shape, true);
        let source = numbers(&mut rng, len);
        let mut expected = vec![0; short.size()];
        for at in sample::indices(&short) {
            let i = index[index_layout.position(&[at[axis]])];
            expected[order.position(&at)] = source[layout.position(&with(&at, axis, i))];
        }
        let mut out = vec![77; expected.len()];
        index_select(&source, &layout, axis, &index, &index_layout, &mut out).unwrap();
        assert_eq!(out, expected, "{layout:?} {axis} {index_layout:?}");

        let (layout, len) = sample::layout(&mut rng, &short, true);
        let source = numbers(&mut rng, len);
        let order = Layout::contiguous(shape.clone());
        let mut out = numbers(&mut rng, shape.size());
        let mut expected = out.clone();
        for at in sample::indices(&short) {
            let i = index[index_layout.position(&[at[axis]])];
            expected[order.position(&with(&at, axis, i))] += source[layout.position(&at)];
        }
        index_add(
            &mut out,
            shape[axis],
            axis,
            &index,
            &index_layout,
            &source,
            &layout,
        )
        .unwrap();
        assert_eq!(out, expected, "{layout:?} {axis} {index_layout:?}");
    }
}

#[test]
fn one_hot_by_definition() {
    let mut rng = sample::generator(9);
    for _ in 0..500 {
        let shape = sample::shape(&mut rng);
        let classes = rng.random_range(1..6);
        let (index, layout) = random_index(&mut rng, &shape, classes);
        let mut out = vec![7.0f32; shape.size() * classes];
        one_hot(&index, &layout, classes, &mut out).unwrap();
        for (at, row) in sample::indices(&shape).iter().zip(out.chunks(classes)) {
            let expected: Vec<f32> = (0..classes as i64)
                .map(|c| {
                    if index[layout.position(at)] == c {
                        1.0
                    } else {
                        0.0
                    }
                })
                .collect();
            assert_eq!(row, expected);
        }
    }
    assert_eq!(
        one_hot(
            &[],
            &Layout::contiguous(Shape::from([0])),
            0,
            &mut [true; 0]
        ),
        Ok(())
    );
}

#[cfg(feature = "parallel")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pools = crate::kernel::threads::pools();
    let mut rng = sample::generator(15);
    for (shape, axis, count) in [
        ([1, 300, 70], 1, 5000),
        ([3, 50, 400], 1, 700),
        ([200, 400, 1], 0, 2000),
        ([40, 60, 90], 2, 300),
    ] {
        let shape = Shape::from(shape);
        let list = Layout::contiguous(Shape::from([count]));
        let index: Vec<i64> = (0..count)
            .map(|_| rng.random_range(0..shape[axis] as i64))
            .collect();
        let chosen = shape.with_size(axis, count);
        let mut numbers =
            |len| -> Vec<f32> { (0..len).map(|_| rng.random_range(-1.0..1.0)).collect() };
        let (source, terms) = (numbers(shape.size()), numbers(chosen.size()));
        let (layout, order) = (
            Layout::contiguous(shape.clone()),
            Layout::contiguous(chosen.clone()),
        );
        let full = list
            .reshape(&Shape::from([1, 1, 1]).with_size(axis, count))
            .unwrap()
            .expand(&chosen);
        let [first, others @ ..] = &pools.each_ref().map(|pool| {
            pool.install(|| {
                let mut selected = vec![0.0; chosen.size()];
                index_select(&source, &layout, axis, &index, &list, &mut selected).unwrap();
                let mut gathered = vec![0.0; chosen.size()];
                gather(&source, &layout, axis, &index, &full, &mut gathered).unwrap();
                assert!(selected == gathered);
                let mut added = source.clone();
                index_add(&mut added, shape[axis], axis, &index, &list, &terms, &order).unwrap();
                let mut scattered = source.clone();
                scatter_add(&mut scattered, &shape, axis, &index, &full, &terms, &order).unwrap();
                assert!(added == scattered);
                (selected, added)
            })
        });
        assert!(others.iter().all(|other| other == first), "{shape} {axis}");
    }
}

/// In float arithmetic the order of terms shows.
#[test]
fn repeated_indices_add_in_order() {
    let mut out = [0.0f32];
    let list = Layout::contiguous(Shape::from([3]));
    let source = [1.0, 1e8, -1e8];
    scatter_add(
        &mut out,
        &Shape::from([1]),
        0,
        &[0, 0, 0],
        &list,
        &source,
        &list,
    )
    .unwrap();
    assert_eq!(out, [0.0]);
    index_add(
        &mut out,
        1,
        0,
        &[0, 0, 0],
        &list,
        &source,
        &list.slice(0, 2, 3, -1),
    )
    .unwrap();
    assert_eq!(out, [1.0]);
}

#[test]
fn an_index_out_of_range_is_named_and_nothing_is_written() {
    let layout = Layout::contiguous(Shape::from([2, 3]));
    let index = [0, 1, 7, 0, -1, 9];
    let source = [1i64; 10];
    let wide = Layout::contiguous(Shape::from([2, 5]));
    let message = "index 7 at [0, 2] is out of range for axis 1 of size 5";
    let mut out = [3; 6];
    assert_eq!(
        gather(&source, &wide, 1, &index, &layout, &mut out).unwrap_err(),
        message
    );
    assert_eq!(out, [3; 6]);
    let mut out = [3; 10];
    assert_eq!(
        scatter_add(&mut out, wide.shape(), 1, &index, &layout, &source, &layout).unwrap_err(),
        message
    );
    let turned = layout.permute(&[1, 0]).slice(0, 1, 2, 1);
    assert_eq!(
        scatter_add(
            &mut out,
            &Shape::from([5, 2]),
            0,
            &index,
            &turned,
            &source,
            &turned
        )
        .unwrap_err(),
        "index -1 at [0, 1] is out of range for axis 0 of size 5"
    );
    let list = Layout::contiguous(Shape::from([6]));
    let by_pairs = Layout::contiguous(Shape::from([6, 2])).slice(1, 0, 1, 1);
    let error = index_add(
        &mut out,
        10,
        0,
        &index,
        &list,
        &source[..6],
        &Layout::contiguous(Shape::from([6])),
    );
    assert_eq!(
        error.unwrap_err(),
        "index -1 at [4] is out of range for axis 0 of size 10"
    );
    let error = index_select(&[5; 12], &by_pairs, 0, &index, &list, &mut out[..6]);
    assert_eq!(
        error.unwrap_err(),
        "index 7 at [2] is out of range for axis 0 of size 6"
    );
    assert_eq!(out, [3; 10]);
    let mut out = [3; 18];
    assert_eq!(
        one_hot(&index, &layout, 3, &mut out).unwrap_err(),
        "index 7 at [0, 2] is out of range for axis 2 of size 3"
    );
    assert_eq!(out, [3; 18]);
}
