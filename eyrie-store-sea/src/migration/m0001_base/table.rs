//! What the tables have in common.

use sea_orm_migration::{prelude::*, schema::uuid};

pub(super) fn table(name: &'static str, columns: impl IntoIterator<Item = ColumnDef>) -> TableCreateStatement {
    let mut table = Table::create();
    table.table(name);
    for column in columns {
        table.col(column);
    }
    table
}

pub(super) fn id(column: &'static str) -> ColumnDef {
    uuid(column).primary_key().take()
}

/// A reference that keeps its target from being deleted, or goes with it.
pub(super) fn reference(column: &'static str, target: &'static str, on_delete: ForeignKeyAction) -> ForeignKeyCreateStatement {
    ForeignKey::create().from_col(column).to_tbl(target).to_col("id").on_delete(on_delete).take()
}

pub(super) fn keyed(mut table: TableCreateStatement, columns: [&'static str; 2]) -> TableCreateStatement {
    let [first, second] = columns;
    table.primary_key(Index::create().col(first).col(second)).take()
}
