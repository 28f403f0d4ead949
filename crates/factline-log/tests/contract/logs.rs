//! The logs that the suite is held against, and what it looks at.

use factline_core::{Decide, Moment, Recorded};
use factline_log::{Lanes, MemoryLog};
use factline_testkit::parcels::{Parcel, ParcelEvent, ParcelRefusal, SendParcel, packed, sent};

use crate::support::{PARTITIONS, TestLog};

/// One log of parcels, in [`PARTITIONS`] partitions.
pub trait LogUnderTest {
    /// The lanes of one more process on it.
    fn process(&self) -> Lanes<Parcel>;
    /// Everything that is stored, by partition and position.
    async fn stored(&self) -> Vec<Recorded<ParcelEvent>>;
}

pub struct InMemory(MemoryLog<Parcel>);

impl InMemory {
    pub fn create() -> Self {
        Self(MemoryLog::new("test.parcel.v1", PARTITIONS).unwrap())
    }
}

impl LogUnderTest for InMemory {
    fn process(&self) -> Lanes<Parcel> {
        self.0.lanes()
    }

    async fn stored(&self) -> Vec<Recorded<ParcelEvent>> {
        self.0.events()
    }
}

impl LogUnderTest for TestLog {
    fn process(&self) -> Lanes<Parcel> {
        TestLog::process(self).0
    }

    async fn stored(&self) -> Vec<Recorded<ParcelEvent>> {
        self.events().await
    }
}

/// Two events, of which the second may be too large to store.
#[derive(Debug, Clone)]
pub struct PackAndSend(pub SendParcel);

impl Decide<PackAndSend> for Parcel {
    fn decide(&self, command: &PackAndSend, _: Moment) -> Result<Vec<ParcelEvent>, ParcelRefusal> {
        Ok(vec![packed(1), sent(&command.0.to)])
    }
}
