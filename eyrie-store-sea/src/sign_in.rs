//! Failed sign-ins.

use std::time::Duration;

use async_trait::async_trait;
use eyrie_core::{
    Result,
    model::{SignInAttempt, SignInCount, SignInFailures},
    store::SignInStore,
};
use sea_orm::{ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect, sea_query::OnConflict};

use crate::{
    entity::failed_sign_in::{Column, Entity, Model},
    error::Failure,
    store::SeaStore,
    writer::{Class, WriteTx},
};

#[async_trait]
impl SignInStore for SeaStore {
    async fn begin_sign_in(&self, attempt: &SignInAttempt) -> Result<Option<Duration>> {
        let attempt = *attempt;
        self.write(Class::Request, "sign in", move |tx| async move {
            let mut counted = Vec::new();
            let mut longest = None;
            for count in attempt.counts() {
                // There must be a row to be locked: of two first ones at once both count.
                let none_yet = SignInFailures { number: 0, last_at: attempt.at };
                insert(&tx, count, none_yet, OnConflict::column(Column::Id).do_nothing().to_owned()).await?;
                let before = locked(&tx, count).await?;
                longest = longest.max(before.and_then(|failures| count.wait(failures, attempt.at)));
                counted.push((count, SignInFailures::and_one_more(before, attempt.at)));
            }
            if longest.is_none() {
                for (count, failures) in counted {
                    keep(&tx, count, failures).await?;
                }
                tx.commit().await?;
            }
            Ok(longest)
        })
        .await
    }

    async fn forgive_sign_in(&self, attempt: &SignInAttempt) -> Result<()> {
        let attempt = *attempt;
        self.write(Class::Request, "sign in", move |tx| async move {
            forget(&tx, attempt.name).await?;
            if let Some(address) = attempt.address {
                match locked(&tx, address).await?.and_then(SignInFailures::but_one) {
                    Some(fewer) => keep(&tx, address, fewer).await?,
                    None => forget(&tx, address).await?,
                }
            }
            tx.commit().await
        })
        .await
    }
}

fn id(count: SignInCount) -> i64 {
    i64::from(count.number())
}

/// What the count has come to; nobody else changes it until the transaction ends.
async fn locked(tx: &WriteTx, count: SignInCount) -> Result<Option<SignInFailures>, Failure> {
    Entity::find_by_id(id(count)).lock_exclusive().one(&**tx).await?.map(TryInto::try_into).transpose()
}

async fn keep(tx: &WriteTx, count: SignInCount, failures: SignInFailures) -> Result<(), Failure> {
    insert(tx, count, failures, OnConflict::column(Column::Id).update_columns([Column::Number, Column::LastAt]).to_owned()).await
}

async fn insert(tx: &WriteTx, count: SignInCount, failures: SignInFailures, there_already: OnConflict) -> Result<(), Failure> {
    let row = Model::new(id(count), failures).into_active_model();
    Entity::insert(row).on_conflict(there_already).exec_without_returning(&**tx).await?;
    Ok(())
}

async fn forget(tx: &WriteTx, count: SignInCount) -> Result<(), Failure> {
    Entity::delete_many().filter(Column::Id.eq(id(count))).exec(&**tx).await?;
    Ok(())
}
