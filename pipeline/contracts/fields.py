"""Types that fields of several specs share."""

from typing import Annotated, Literal

from pydantic import Field

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PositiveInt = Annotated[int, Field(ge=1)]
SourceName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
EngineName = Literal["auto", "torch", "vllm"]
"""`auto` takes vLLM where a GPU and the package are present, our own engines elsewhere."""
DeviceName = Literal["auto", "cpu", "cuda"]
DtypeName = Literal["float32", "bfloat16"]
