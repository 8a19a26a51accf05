"""What a study is made of: a node for each entry that the catalog holds, or can hold."""
