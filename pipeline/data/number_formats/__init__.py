"""Numbers of a spreadsheet as the text that a person saw: number format codes applied.

Codes are those of ECMA-376 part 1, 18.8.31, as Excel shows them; where programs differ, Excel is
followed and `tests/ml/fixtures/number_formats/README.md` says so.
"""
