"""The built-in plugins: guests of geobench like any third party's."""
