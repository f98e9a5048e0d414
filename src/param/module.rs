//! What holds parameters, and how they are found.

use super::{ParamMut, ParamRef, names};

/// One step on the way from a model to a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Segment {
    /// A field of a struct.
    Field(&'static str),
    /// An element of a `Vec`, an array, a tuple or a [`Sequential`](crate::nn::Sequential).
    Index(usize),
}

/// Is shown the parameters of a module one after another, and the way to each.
pub trait Visitor<'a> {
    /// What follows, up to the matching [`leave`](Visitor::leave), belongs to a part of the module.
    fn enter(&mut self, segment: Segment);
    /// The part is over.
    fn leave(&mut self);
    /// A parameter.
    fn param(&mut self, param: ParamRef<'a>);
}

/// As [`Visitor`], with parameters that can be changed.
pub trait VisitorMut<'a> {
    /// What follows, up to the matching [`leave`](VisitorMut::leave), belongs to a part of the
    /// module.
    fn enter(&mut self, segment: Segment);
    /// The part is over.
    fn leave(&mut self);
    /// A parameter.
    fn param(&mut self, param: ParamMut<'a>);
}

/// What holds parameters: a layer, a model, a [`Param`](crate::Param) itself, or a `Vec`, array,
/// `Option`, `Box` or tuple of these.
///
/// For a struct, [`module!`](crate::module) implements it. Both methods must show the same
/// parameters in the same order, always.
///
/// ```
/// use wengert::prelude::*;
/// struct Scale { factor: Param, offsets: Vec<Param>, name: String }
/// wengert::module!(Scale { factor, offsets });
///
/// let scale = Scale {
///     factor: Param::new(Tensor::from(2.0)),
///     offsets: vec![Param::new(Tensor::from([0.0, 1.0]))],
///     name: "scale".into(),
/// };
/// assert_eq!(scale.parameter_names(), ["factor", "offsets.0"]);
/// assert_eq!(scale.parameter_count(), 3);
/// ```
pub trait Module {
    /// Shows every parameter to the visitor.
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>);

    /// Shows every parameter to the visitor, which may change it.
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>);

    /// The parameters with their names: fields and indices joined by dots, as `layers.0.weight`.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let model = Linear::<f32>::new(3, 2, &mut wengert::rng(0));
    /// let shapes: Vec<_> = model
    ///     .named_parameters()
    ///     .into_iter()
    ///     .map(|(name, _)| name)
    ///     .collect();
    /// assert_eq!(shapes, ["weight", "bias"]);
    /// ```
    fn named_parameters(&self) -> Vec<(String, ParamRef<'_>)> {
        names::named(self)
    }

    /// The names of the parameters, in the order of a visit.
    fn parameter_names(&self) -> Vec<String> {
        self.named_parameters()
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    /// The number of elements of all parameters together, frozen ones included.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// assert_eq!(Linear::<f32>::new(3, 2, &mut wengert::rng(0)).parameter_count(), 8);
    /// ```
    fn parameter_count(&self) -> usize {
        names::count(self)
    }

    /// Freezes every parameter: see [`Param::freeze`](crate::Param::freeze).
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut model = Linear::<f32>::new(3, 2, &mut wengert::rng(0));
    /// model.freeze();
    /// assert!(!model.weight.is_trainable());
    /// ```
    fn freeze(&mut self) {
        names::train(self, false);
    }

    /// Lets every parameter be trained.
    ///
    /// ```
    /// use wengert::prelude::*;
    /// let mut model = Linear::<f32>::new(3, 2, &mut wengert::rng(0));
    /// model.freeze();
    /// model.unfreeze();
    /// assert!(model.weight.is_trainable());
    /// ```
    fn unfreeze(&mut self) {
        names::train(self, true);
    }
}

/// Implements [`Module`](crate::Module) for a struct: lists the fields that hold parameters. Other
/// fields are no parameters.
///
/// Type parameters stand after `impl`, with one bound each; further ones in a `where` clause. A
/// field of a tuple struct is its number.
///
/// ```
/// use wengert::prelude::*;
///
/// #[derive(Clone, Debug)]
/// struct Mlp { hidden: Linear, output: Linear }
/// wengert::module!(Mlp { hidden, output });
///
/// #[derive(Clone, Debug)]
/// struct Residual<T: Float, L> { inner: L, scale: Param<T> }
/// wengert::module!(impl<T: Float, L: Module> Residual<T, L> { inner, scale });
///
/// struct Double;
/// wengert::module!(Double {});
///
/// let rng = &mut wengert::rng(0);
/// let mlp = Mlp { hidden: Linear::new(2, 4, rng), output: Linear::new(4, 1, rng) };
/// let model = Residual { inner: mlp, scale: Param::new(Tensor::from(1.0)) };
/// assert_eq!(
///     model.parameter_names(),
///     ["inner.hidden.weight", "inner.hidden.bias", "inner.output.weight", "inner.output.bias", "scale"],
/// );
/// ```
#[macro_export]
macro_rules! module {
    (
        impl<$($generic:ident $(: $bound:path)?),+ $(,)?> $type:ty
        $(where $($constrained:ident: $constraint:path),+ $(,)?)?
        { $($field:tt),* $(,)? }
    ) => {
        impl<$($generic $(: $bound)?),+> $crate::Module for $type
        $(where $($constrained: $constraint),+)?
        {
            $crate::module!(@methods $($field),*);
        }
    };
    ($type:ty { $($field:tt),* $(,)? }) => {
        impl $crate::Module for $type {
            $crate::module!(@methods $($field),*);
        }
    };
    (@methods $($field:tt),*) => {
        fn visit<'a>(&'a self, visitor: &mut dyn $crate::Visitor<'a>) {
            let _ = &visitor;
            $(
                visitor.enter($crate::Segment::Field(stringify!($field)));
                $crate::Module::visit(&self.$field, visitor);
                visitor.leave();
            )*
        }
        fn visit_mut<'a>(&'a mut self, visitor: &mut dyn $crate::VisitorMut<'a>) {
            let _ = &visitor;
            $(
                visitor.enter($crate::Segment::Field(stringify!($field)));
                $crate::Module::visit_mut(&mut self.$field, visitor);
                visitor.leave();
            )*
        }
    };
}
