//! Room for a run. All of it is asked for before anything is computed, so that a run that is too large does nothing.

use super::execute::{Fault, Results};
use super::plan::{Named, Plan};
use crate::error::OutOfMemory;
use crate::kernel::memory::Memory;
use crate::tensor::{AnyStorage, Pool};

impl Plan {
    /// Buffers for the values that outlive a run; for those within it there is room in the memory then.
    pub fn room(&self, pool: &mut Pool, memory: &mut Memory) -> Result<Results, Fault> {
        let mut results = Results::new();
        self.room_but(pool, memory, &mut results, |_| false)?;
        Ok(results)
    }

    /// As [`room`](Plan::room), but for results that lie `elsewhere` (none if it is empty); and buffers of the last run are used
    /// again, unless somebody else can see them.
    pub fn renew(
        &self,
        pool: &mut Pool,
        memory: &mut Memory,
        results: &mut Results,
        elsewhere: &[bool],
    ) -> Result<(), Fault> {
        self.room_but(pool, memory, results, |result| {
            elsewhere.get(result) == Some(&true)
        })
    }

    fn room_but(
        &self,
        pool: &mut Pool,
        memory: &mut Memory,
        results: &mut Results,
        elsewhere: impl Fn(usize) -> bool,
    ) -> Result<(), Fault> {
        results.resize_with(self.results.len(), || None);
        let mut acquire = || -> Result<(), OutOfMemory> {
            // Where regions end can be counted then.
            let bytes = self.within();
            if bytes > isize::MAX as usize {
                return Err(OutOfMemory { bytes });
            }
            self.script().reserve(memory)?;
            for (number, (result, kept)) in results.iter_mut().zip(&self.results).enumerate() {
                let fits = |storage: &AnyStorage| {
                    let slice = storage.as_slice();
                    storage.is_unique() && (slice.dtype(), slice.len()) == (kept.dtype, kept.len)
                };
                if !elsewhere(number) && !result.as_ref().is_some_and(fits) {
                    *result = Some(pool.acquire(kept.dtype, kept.len)?);
                }
            }
            Ok(())
        };
        acquire().map_err(|_| {
            let storages = results.drain(..).flatten();
            storages.for_each(|storage| pool.recycle(storage));
            self.too_large()
        })
    }

    /// Says that there is no room, and blames the largest value.
    #[cold]
    fn too_large(&self) -> Fault {
        let bytes = |named: &&Named| named.shape.size().saturating_mul(named.dtype.size());
        let largest = self.named.iter().max_by_key(bytes);
        Fault {
            node: largest.map_or(0, |named| named.node),
            message: format!(
                "the values of the run take {} bytes at once, which cannot be allocated",
                self.peak()
            ),
        }
    }
}
