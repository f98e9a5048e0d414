use super::*;
use crate::kernel::dispatch::at_every_level;
use crate::kernel::sample;
use crate::shape::{Layout, Shape};
use rand::RngExt;

fn matrix<'a, T>(data: &'a [T], layout: &Layout) -> Matrix<'a, T> {
    let (shape, strides) = (layout.shape(), layout.strides());
    Matrix {
        data,
        offset: layout.offset(),
        rows: shape[0],
        columns: shape[1],
        row_stride: strides[0],
        column_stride: strides[1],
    }
}

/// Compares with the definition, in whole numbers so small that every float is exact.
fn check<T: Number>(a: &[i64], a_layout: &Layout, b: &[i64], b_layout: &Layout) {
    let (rows, inner, columns) = (
        a_layout.shape()[0],
        a_layout.shape()[1],
        b_layout.shape()[1],
    );
    let mut expected = Vec::new();
    for i in 0..rows {
        for j in 0..columns {
            let terms =
                (0..inner).map(|k| a[a_layout.position(&[i, k])] * b[b_layout.position(&[k, j])]);
            expected.push(T::of(terms.sum::<i64>() as f64));
        }
    }
    let convert = |x: &[i64]| x.iter().map(|&x| T::of(x as f64)).collect::<Vec<_>>();
    let mut out = vec![T::of(77.0); rows * columns];
    matmul(
        matrix(&convert(a), a_layout),
        matrix(&convert(b), b_layout),
        &mut out,
    );
    assert_eq!(out, expected, "{a_layout:?} {b_layout:?}");
}

#[test]
fn products_of_any_strides() {
    let mut rng = sample::generator(5);
    for round in 0..3000 {
        let mut size = || match round % 3 {
            _ if rng.random_ratio(1, 40) => 0,
            0 => rng.random_range(1..10),
            1 => rng.random_range(1..30),
            _ => [1, 2, 3, 8, 17, 40, 130, 150][rng.random_range(0..8)],
        };
        let (rows, inner, columns) = (size(), size(), size());
        let (a_layout, a_len) = sample::layout(&mut rng, &Shape::from([rows, inner]), true);
        let (b_layout, b_len) = sample::layout(&mut rng, &Shape::from([inner, columns]), true);
        let mut numbers = |len| {
            (0..len)
                .map(|_| rng.random_range(-9..=9))
                .collect::<Vec<i64>>()
        };
        let (a, b) = (numbers(a_len), numbers(b_len));
        check::<f32>(&a, &a_layout, &b, &b_layout);
        check::<f64>(&a, &a_layout, &b, &b_layout);
        check::<i64>(&a, &a_layout, &b, &b_layout);
    }
}

#[test]
fn large_products_of_transposed_and_flipped_matrices() {
    let mut rng = sample::generator(6);
    let mut numbers = |len| {
        (0..len)
            .map(|_| rng.random_range(-9..=9))
            .collect::<Vec<i64>>()
    };
    for (rows, inner, columns) in [
        (128, 300, 65),
        (70, 600, 10),
        (1, 700, 300),
        (300, 700, 1),
        (257, 2, 129),
    ] {
        let (a, b) = (numbers(rows * inner), numbers(inner * columns));
        let plain = Layout::contiguous(Shape::from([rows, inner]));
        let turned = Layout::contiguous(Shape::from([inner, rows])).permute(&[1, 0]);
        let flipped = plain.slice(1, inner - 1, inner, -1);
        let lefts = [plain, turned, flipped];
        let plain = Layout::contiguous(Shape::from([inner, columns]));
        let turned = Layout::contiguous(Shape::from([columns, inner])).permute(&[1, 0]);
        let flipped = plain.slice(0, inner - 1, inner, -1);
        let row = plain.slice(0, 1, 1, 1).expand(plain.shape());
        for right in [plain, turned, flipped, row] {
            for left in &lefts {
                check::<f32>(&a, left, &b, &right);
                check::<f64>(&a, left, &b, &right);
            }
        }
    }
}

#[test]
fn nothing_summed_is_zero_and_what_was_there_does_not_matter() {
    let (a, b) = (
        Layout::contiguous(Shape::from([2, 0])),
        Layout::contiguous(Shape::from([0, 3])),
    );
    let mut out = [f32::NAN; 6];
    matmul(matrix(&[], &a), matrix(&[], &b), &mut out);
    assert_eq!(out, [0.0; 6]);
    for n in [3, 50] {
        let layout = Layout::contiguous(Shape::from([n, n]));
        let ones = vec![1.0f64; n * n];
        let mut out = vec![f64::NAN; n * n];
        matmul(matrix(&ones, &layout), matrix(&ones, &layout), &mut out);
        assert_eq!(out, vec![n as f64; n * n]);
    }
}

#[test]
fn an_infinity_or_nan_stays_in_its_row_and_column() {
    for n in [2, 3, 9, 33] {
        let layout = Layout::contiguous(Shape::from([n, n]));
        let mut a = vec![1.0f32; n * n];
        a[n * n - 1] = f32::NAN;
        let mut b = vec![1.0f32; n * n];
        b[n * n - 1] = f32::INFINITY;
        let mut out = vec![0.0; n * n];
        matmul(matrix(&a, &layout), matrix(&b, &layout), &mut out);
        for (flat, x) in out.iter().enumerate() {
            match (flat / n == n - 1, flat % n == n - 1) {
                (true, _) => assert!(x.is_nan()),
                (false, true) => assert_eq!(*x, f32::INFINITY),
                _ => assert_eq!(*x, n as f32),
            }
        }
    }
}

/// Shapes that take every path: tiny, small, narrow, of few rows, vectors, large, with rests in each direction.
const SHAPES: [[usize; 3]; 20] = [
    [3, 5, 7],
    [9, 12, 17],
    [8, 8, 8],
    [5, 300, 6],
    [40, 50, 70],
    [100, 70, 3],
    [300, 130, 30],
    [1, 300, 77],
    [1, 600, 1300],
    [2, 600, 333],
    [7, 513, 700],
    [20, 300, 1100],
    [50, 520, 300],
    [500, 300, 1],
    [1100, 260, 1],
    [150, 300, 100],
    [257, 515, 130],
    [400, 2, 300],
    [65, 1300, 900],
    [70, 30, 2100],
];

/// Both operands stored by rows or by columns, or with gaps.
fn layouts(rows: usize, columns: usize) -> [Layout; 3] {
    let wide = Layout::contiguous(Shape::from([rows, 2 * columns]));
    [
        Layout::contiguous(Shape::from([rows, columns])),
        Layout::contiguous(Shape::from([columns, rows])).permute(&[1, 0]),
        wide.slice(1, 1, columns, 2),
    ]
}

/// Calls `f` with each shape and each pair of layouts.
fn each_case(mut f: impl FnMut([usize; 3], &Layout, &[f32], &Layout, &[f32])) {
    let mut rng = sample::generator(11);
    for [rows, inner, columns] in SHAPES {
        let mut numbers = |len| {
            (0..len)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect::<Vec<f32>>()
        };
        let (a, b) = (numbers(2 * rows * inner), numbers(2 * inner * columns));
        for left in &layouts(rows, inner) {
            for right in &layouts(inner, columns) {
                f([rows, inner, columns], left, &a, right, &b);
            }
        }
    }
}

#[test]
fn products_are_accurate_with_every_instruction_set() {
    each_case(|[rows, inner, columns], left, a, right, b| {
        // Of every element the exact product, and the sum of the magnitudes of its terms.
        let mut exact = vec![[0.0f64; 2]; rows * columns];
        for i in 0..rows {
            for k in 0..inner {
                let x = f64::from(a[left.position(&[i, k])]);
                for j in 0..columns {
                    let term = x * f64::from(b[right.position(&[k, j])]);
                    let [sum, size] = &mut exact[i * columns + j];
                    *sum += term;
                    *size += term.abs();
                }
            }
        }
        let results = at_every_level(|| {
            let mut out = vec![f32::NAN; rows * columns];
            matmul(matrix(a, left), matrix(b, right), &mut out);
            out
        });
        for result in results {
            for (x, [sum, size]) in result.iter().zip(&exact) {
                let error = (f64::from(*x) - sum).abs();
                assert!(
                    error <= 16.0 * f64::from(f32::EPSILON) * size,
                    "{rows} {inner} {columns} {left:?} {right:?}: {x} for {sum}"
                );
            }
        }
    });
}

#[cfg(feature = "parallel")]
#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let pools = crate::kernel::threads::pools();
    let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let check = |[rows, inner, columns]: [usize; 3],
                 left: &Layout,
                 a: &[f32],
                 right: &Layout,
                 b: &[f32]| {
        let [first, others @ ..] = &pools.each_ref().map(|pool| {
            let mut out = vec![f32::NAN; rows * columns];
            pool.install(|| matmul(matrix(a, left), matrix(b, right), &mut out));
            bits(&out)
        });
        assert!(
            others.iter().all(|other| other == first),
            "{rows} {inner} {columns} {left:?} {right:?}"
        );
    };
    // Other tests must not change the level meanwhile.
    at_every_level(|| each_case(check));
}

/// Each product of a batch is the same as it is alone.
#[test]
fn batches() {
    at_every_level(check_batches);
}

fn check_batches() {
    let mut rng = sample::generator(12);
    for (count, [rows, inner, columns]) in [
        (1, [2, 3, 4]),
        (300, [3, 4, 5]),
        (40, [30, 20, 50]),
        (5, [90, 100, 80]),
        (3, [260, 200, 100]),
    ] {
        let mut numbers = |len| {
            (0..len)
                .map(|_| rng.random_range(-1.0..1.0))
                .collect::<Vec<f64>>()
        };
        let (a, b) = (numbers(count * rows * inner), numbers(inner * columns));
        let left = Layout::contiguous(Shape::from([rows, inner]));
        let right = Layout::contiguous(Shape::from([columns, inner])).permute(&[1, 0]);
        let factors = |i: usize| {
            [
                matrix(&a[i * rows * inner..][..rows * inner], &left),
                matrix(&b, &right),
            ]
        };
        let mut expected = vec![f64::NAN; count * rows * columns];
        for (i, out) in expected.chunks_exact_mut(rows * columns).enumerate() {
            let [a, b] = factors(i);
            matmul(a, b, out);
        }
        let mut out = vec![f64::NAN; expected.len()];
        matmul_batch(count, &factors, &mut out);
        assert_eq!(out, expected);
    }
}

#[test]
fn integers_wrap_around() {
    let layout = Layout::contiguous(Shape::from([1, 1]));
    let mut out = [0];
    matmul(
        matrix(&[i64::MAX], &layout),
        matrix(&[2], &layout),
        &mut out,
    );
    assert_eq!(out, [-2]);
}

#[test]
#[should_panic(expected = "beyond its slice")]
fn a_matrix_beyond_its_slice_is_refused() {
    let layout = Layout::contiguous(Shape::from([2, 3]));
    matmul(
        matrix(&[1.0f32; 5], &layout),
        matrix(&[1.0; 6], &layout.permute(&[1, 0])),
        &mut [0.0; 4],
    );
}
