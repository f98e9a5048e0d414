//! Modules made of modules.

use super::module::{Module, Segment, Visitor, VisitorMut};

/// Shows each element of a sequence under its index.
macro_rules! sequence {
    ($visitor:ident, $visit:ident, $elements:expr) => {
        for (i, element) in $elements.enumerate() {
            $visitor.enter(Segment::Index(i));
            element.$visit($visitor);
            $visitor.leave();
        }
    };
}

impl<M: Module> Module for Vec<M> {
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        sequence!(visitor, visit, self.iter());
    }
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        sequence!(visitor, visit_mut, self.iter_mut());
    }
}

impl<M: Module, const N: usize> Module for [M; N] {
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        sequence!(visitor, visit, self.iter());
    }
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        sequence!(visitor, visit_mut, self.iter_mut());
    }
}

impl<M: Module> Module for Option<M> {
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        if let Some(module) = self {
            module.visit(visitor);
        }
    }
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        if let Some(module) = self {
            module.visit_mut(visitor);
        }
    }
}

impl<M: Module + ?Sized> Module for Box<M> {
    fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
        (**self).visit(visitor);
    }
    fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
        (**self).visit_mut(visitor);
    }
}

impl Module for () {
    fn visit<'a>(&'a self, _visitor: &mut dyn Visitor<'a>) {}
    fn visit_mut<'a>(&'a mut self, _visitor: &mut dyn VisitorMut<'a>) {}
}

macro_rules! tuple {
    ($($m:ident.$i:tt),+) => {
        impl<$($m: Module),+> Module for ($($m,)+) {
            fn visit<'a>(&'a self, visitor: &mut dyn Visitor<'a>) {
                $(
                    visitor.enter(Segment::Index($i));
                    self.$i.visit(visitor);
                    visitor.leave();
                )+
            }
            fn visit_mut<'a>(&'a mut self, visitor: &mut dyn VisitorMut<'a>) {
                $(
                    visitor.enter(Segment::Index($i));
                    self.$i.visit_mut(visitor);
                    visitor.leave();
                )+
            }
        }
    };
}
tuple!(A.0);
tuple!(A.0, B.1);
tuple!(A.0, B.1, C.2);
tuple!(A.0, B.1, C.2, D.3);

#[cfg(test)]
mod tests {
    use crate::{Float, Module, Param, Segment, Tensor, VisitorMut};

    fn param(x: f32) -> Param {
        Param::new(Tensor::from([x, x]))
    }

    struct Leaf<T: Float> {
        weight: Param<T>,
        #[allow(dead_code)] // not a parameter, which is the point
        other: Option<Param<T>>,
    }
    crate::module!(impl<T: Float> Leaf<T> { weight });

    struct Tuple(Param, Leaf<f64>);
    crate::module!(Tuple { 0, 1 });

    struct Nothing;
    crate::module!(Nothing {});

    struct Generic<A, B> {
        a: A,
        b: B,
    }
    crate::module!(impl<A: Module, B> Generic<A, B> where B: Module { a, b });

    fn leaf<T: Float>() -> Leaf<T> {
        Leaf {
            weight: Param::new(Tensor::zeros([3])),
            other: Some(Param::new(Tensor::zeros([5]))),
        }
    }

    #[test]
    fn names_follow_fields_and_indices() {
        let model = Generic {
            a: vec![Some(param(0.0)), None, Some(param(1.0))],
            b: (
                [leaf::<f32>(), leaf()],
                Box::new(Tuple(param(2.0), leaf())),
                (Nothing, ()),
            ),
        };
        assert_eq!(
            model.parameter_names(),
            [
                "a.0",
                "a.2",
                "b.0.0.weight",
                "b.0.1.weight",
                "b.1.0",
                "b.1.1.weight"
            ]
        );
        assert_eq!(model.parameter_count(), 2 + 2 + 3 + 3 + 2 + 3);
    }

    #[test]
    fn a_parameter_alone_has_the_empty_name() {
        assert_eq!(param(0.0).parameter_names(), [""]);
        assert!(Nothing.parameter_names().is_empty());
    }

    #[test]
    fn both_visits_go_the_same_way() {
        struct Ids(Vec<(u64, usize)>, usize);
        impl<'a> VisitorMut<'a> for Ids {
            fn enter(&mut self, _segment: Segment) {
                self.1 += 1;
            }
            fn leave(&mut self) {
                self.1 -= 1;
            }
            fn param(&mut self, param: crate::ParamMut<'a>) {
                let depth = self.1;
                self.0
                    .push((crate::element::with_any!(param, p => p.id()), depth));
            }
        }
        let mut model = Generic {
            a: (param(0.0), vec![param(1.0)]),
            b: Some([Box::new(param(2.0)), Box::new(param(3.0))]),
        };
        let shared: Vec<_> = model
            .named_parameters()
            .iter()
            .map(|(name, p)| {
                (
                    crate::element::with_any!(p, p => p.id()),
                    name.split('.').count(),
                )
            })
            .collect();
        let mut ids = Ids(Vec::new(), 0);
        model.visit_mut(&mut ids);
        assert_eq!(ids.0, shared);
        assert_eq!(ids.1, 0);
    }

    #[test]
    fn a_module_is_frozen_as_a_whole_through_a_trait_object() {
        let mut model: Box<dyn Module> = Box::new(vec![param(0.0), param(1.0)]);
        let trainable = |m: &dyn Module| {
            let flags = m.named_parameters();
            flags
                .iter()
                .all(|(_, p)| crate::element::with_any!(p, p => p.is_trainable()))
        };
        model.freeze();
        assert!(!trainable(&*model));
        model.unfreeze();
        assert!(trainable(&*model));
    }
}
