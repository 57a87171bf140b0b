//! Nothing that changes concurrently is used as a sort key, an index or a length twice.
