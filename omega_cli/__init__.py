"""Floor 5: the `omega` command. Commands parse, make one library call and hand the result to `render`."""
