use super::lanes::block;
use super::rows::RowTree;
use super::*;
use crate::kernel::dispatch::at_every_level;
use crate::kernel::sample;
use crate::shape::Shape;
use rand::RngExt;

/// The reduction by definition, one element after the other.
fn naive<T: Number>(kind: Reduction, source: &[T], layout: &Layout, axes: &[usize]) -> Vec<T> {
    let kept: Vec<usize> = (0..layout.shape().rank())
        .filter(|a| !axes.contains(a))
        .collect();
    let out = Layout::contiguous(kept.iter().map(|&a| layout.shape()[a]).collect());
    let (identity, combine): (T, fn(T, T) -> T) = match kind {
        Reduction::Sum => (T::ZERO, T::plus),
        Reduction::Max => (T::LOWEST, T::larger),
        Reduction::Min => (T::HIGHEST, T::smaller),
    };
    let mut result = vec![identity; out.shape().size()];
    for index in sample::indices(layout.shape()) {
        let place = out.position(&kept.iter().map(|&a| index[a]).collect::<Vec<_>>());
        result[place] = combine(result[place], source[layout.position(&index)]);
    }
    result
}

#[test]
fn any_axes_of_any_layout() {
    let mut rng = sample::generator(3);
    for _ in 0..3000 {
        let shape = sample::shape(&mut rng);
        let (layout, len) = sample::layout(&mut rng, &shape, true);
        let axes: Vec<usize> = (0..shape.rank()).filter(|_| rng.random_bool(0.5)).collect();
        let source: Vec<i64> = (0..len).map(|_| rng.random_range(-1000..1000)).collect();
        // Sums of small whole numbers are exact in every order.
        let floats: Vec<f32> = source.iter().map(|&x| x as f32).collect();
        for kind in [Reduction::Sum, Reduction::Max, Reduction::Min] {
            let expected = naive(kind, &source, &layout, &axes);
            if kind != Reduction::Sum && !expected.is_empty() && shape.contains(&0) {
                continue;
            }
            let mut out = vec![77; expected.len()];
            reduce(kind, &source, &layout, &axes, &mut out);
            assert_eq!(out, expected, "{kind:?} {layout:?} {axes:?}");
            let mut out = vec![77.0; expected.len()];
            reduce(kind, &floats, &layout, &axes, &mut out);
            assert_eq!(
                out,
                naive(kind, &floats, &layout, &axes),
                "{kind:?} {layout:?} {axes:?}"
            );
        }
    }
}

#[test]
fn sizes_around_blocks_lanes_groups_and_panels() {
    let mut rng = sample::generator(4);
    for count in [
        1, 2, 3, 4, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1023, 1024, 1025, 5000,
    ] {
        for width in [1, 2, 3, 5, 31, 33, 63, 64, 65, 511, 513] {
            if count * width > 100_000 {
                continue;
            }
            let source: Vec<f64> = (0..2 * count * width)
                .map(|_| f64::from(rng.random_range(-9..9)))
                .collect();
            let layout = Layout::contiguous(Shape::from([2, count, width]));
            let gaps = layout.slice(2, 0, width.div_ceil(2), 1);
            for (layout, axes) in [
                (&layout, &[1][..]),
                (&gaps, &[1]),
                (&layout, &[0, 1]),
                (&layout, &[0, 1, 2]),
            ] {
                for kind in [Reduction::Sum, Reduction::Max] {
                    let expected = naive(kind, &source, layout, axes);
                    let mut out = vec![0.5; expected.len()];
                    reduce(kind, &source, layout, axes, &mut out);
                    assert_eq!(out, expected, "{kind:?} {layout:?} {axes:?}");
                }
            }
        }
    }
}

#[test]
fn a_nan_anywhere_is_the_maximum_and_the_minimum() {
    for place in 0..100 {
        let mut source = [0.5f32; 100];
        source[place] = f32::NAN;
        for shape in [&[100][..], &[4, 25], &[25, 4], &[2, 10, 5]] {
            let layout = Layout::contiguous(Shape::from(shape));
            for axis in 0..shape.len() {
                for kind in [Reduction::Max, Reduction::Min] {
                    let mut out = vec![0.0; 100 / shape[axis]];
                    reduce(kind, &source, &layout, &[axis], &mut out);
                    assert_eq!(
                        out.iter().filter(|x| x.is_nan()).count(),
                        1,
                        "{shape:?} {axis} {place}"
                    );
                }
            }
        }
    }
}

#[test]
fn extremes_of_infinities_and_of_the_smallest_integers() {
    let lowest = |kind, x: f64| {
        let mut out = [0.0];
        reduce(
            kind,
            &[x; 40],
            &Layout::contiguous(Shape::from([40])),
            &[0],
            &mut out,
        );
        out[0]
    };
    assert_eq!(lowest(Reduction::Max, f64::NEG_INFINITY), f64::NEG_INFINITY);
    assert_eq!(lowest(Reduction::Min, f64::INFINITY), f64::INFINITY);
    let mut out = [0];
    reduce(
        Reduction::Max,
        &[i64::MIN; 3],
        &Layout::contiguous(Shape::from([3])),
        &[0],
        &mut out,
    );
    assert_eq!(out, [i64::MIN]);
    reduce(
        Reduction::Sum,
        &[i64::MAX, 1],
        &Layout::contiguous(Shape::from([2])),
        &[0],
        &mut out,
    );
    assert_eq!(out, [i64::MIN]);
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    let mut rng = sample::generator(10);
    let source: Vec<f32> = (0..40_000).map(|_| rng.random_range(-1.0..1.0)).collect();
    for shape in [
        [40_000, 1, 1],
        [40, 10, 100],
        [5, 8000, 1],
        [1000, 20, 2],
        [1, 4000, 10],
    ] {
        for axes in [&[0, 1, 2][..], &[0], &[1], &[2], &[0, 2]] {
            let layout = Layout::contiguous(Shape::from(shape));
            let kept = (0..3)
                .filter(|a| !axes.contains(a))
                .map(|a| shape[a])
                .product();
            let [first, others @ ..] = &at_every_level(|| {
                let mut out = vec![0.0; kept];
                reduce(Reduction::Sum, &source, &layout, axes, &mut out);
                out
            })[..] else {
                panic!("there is always the baseline")
            };
            assert!(
                others.iter().all(|other| other == first),
                "{shape:?} {axes:?}"
            );
        }
    }
}

/// A million times the `f32` nearest 0.1: added one after the other they give 100958.34.
#[test]
fn long_sums_are_accurate_in_every_direction() {
    let n = 1_000_000;
    let source = vec![0.1f32; 2 * n];
    let exact = f64::from(0.1f32) * n as f64;
    let flat = Layout::contiguous(Shape::from([n, 2]));
    let views = [
        (flat.reshape(&Shape::from([2, n])), vec![1]),
        (Some(flat.clone()), vec![0]),
        (Some(flat.permute(&[1, 0]).slice(1, 0, n / 2, 2)), vec![1]),
        (flat.reshape(&Shape::from([n / 50, 100])), vec![0]),
        (flat.reshape(&Shape::from([n / 1000, 2, 1000])), vec![0, 2]),
    ];
    for (layout, axes) in views {
        let Some(layout) = layout else {
            panic!("a contiguous layout has every shape")
        };
        let kept: usize = (0..layout.shape().rank())
            .filter(|a| !axes.contains(a))
            .map(|a| layout.shape()[a])
            .product();
        let mut out = vec![0.0; kept];
        reduce(Reduction::Sum, &source, &layout, &axes, &mut out);
        let expected = exact * (layout.shape().size() as f64 / n as f64) / kept as f64;
        for sum in out {
            let error = (f64::from(sum) - expected).abs() / expected;
            assert!(
                error < 8.0 * f64::from(f32::EPSILON),
                "{layout:?}: {sum} for {expected}, error {error:e}"
            );
        }
    }
}

#[cfg(feature = "parallel")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pools = crate::kernel::threads::pools();
    let mut rng = sample::generator(13);
    let source: Vec<f32> = (0..1_300_000)
        .map(|_| rng.random_range(-1.0..1.0))
        .collect();
    for (shape, axes) in [
        ([1_300_000, 1, 1], &[0][..]),
        ([130, 10_000, 1], &[1]),
        ([4, 320_000, 1], &[1]),
        ([433_333, 3, 1], &[0]),
        ([20_000, 65, 1], &[0]),
        ([3, 4000, 100], &[1]),
        ([100, 1, 13_000], &[0]),
        ([300, 43, 100], &[0, 2]),
        ([60, 200, 100], &[1]),
    ] {
        let layout = Layout::contiguous(Shape::from(shape));
        for layout in [
            layout.permute(&[0, 2, 1]),
            layout.slice(0, 1, shape[0] / 2, 2),
            layout,
        ] {
            let axes = axes.to_vec();
            let kept = (0..3)
                .filter(|a| !axes.contains(a))
                .map(|a| layout.shape()[a])
                .product();
            let [first, others @ ..] = &pools.each_ref().map(|pool| {
                let mut out = vec![f32::NAN; kept];
                pool.install(|| reduce(Reduction::Sum, &source, &layout, &axes, &mut out));
                out
            });
            assert!(first.iter().all(|x| x.is_finite()));
            assert!(
                others.iter().all(|other| other == first),
                "{layout:?} {axes:?}"
            );
        }
    }
}

/// What others may rely on to build the same sums from parts of their own.
#[test]
fn sums_are_made_of_blocks_and_groups() {
    let mut rng = sample::generator(14);
    let source: Vec<f32> = (0..200_000).map(|_| rng.random_range(-1.0..1.0)).collect();
    let sum = |layout: &Layout| {
        let mut out = vec![0.0; layout.shape().size() / layout.shape()[0]];
        reduce(Reduction::Sum, &source, layout, &[0], &mut out);
        out
    };
    for n in [1, 15, 511, 512, 513, 5000, 70_000, 200_000] {
        let mut tree = Tree::<f32, Plus>::new();
        for part in source[..n].chunks(BLOCK) {
            tree.push(block::<f32, Plus>(part));
        }
        assert_eq!(sum(&Layout::contiguous(Shape::from([n]))), [tree.finish()]);
    }
    for (rows, width) in [
        (2, 3),
        (63, 2),
        (64, 7),
        (65, 7),
        (1000, 30),
        (60_000, 3),
        (300, 600),
    ] {
        let groups = source[..rows * width].chunks(GROUP * width);
        RowTree::<f32, Plus>::with(groups.len(), width, |tree| {
            for group in groups {
                tree.push(|row| {
                    row.copy_from_slice(&group[..width]);
                    for other in group[width..].chunks_exact(width) {
                        for (x, y) in row.iter_mut().zip(other) {
                            *x += y;
                        }
                    }
                });
            }
            let all = Layout::contiguous(Shape::from([rows, width]));
            assert_eq!(sum(&all), tree.finish());
        });
    }
}
