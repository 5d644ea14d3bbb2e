"""The flags that several verbs have, each with its line of help."""

from typing import Annotated

from cyclopts import Parameter

Source = Annotated[str, Parameter(help="a path or a built-in name")]
Trained = Annotated[str, Parameter(help="folder of a trained run")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or mps")]
Json = Annotated[bool, Parameter(help="one JSON document on stdout")]
Image = Annotated[str | None, Parameter(help="column of the image paths")]
Label = Annotated[str | None, Parameter(help="column of the class")]
Target = Annotated[str | None, Parameter(help="column of the number")]
Patient = Annotated[str | None, Parameter(help="column of the patient, or for folders a pattern; none: no grouping")]
Split = Annotated[str | None, Parameter(help="column of train, val or test")]
Mask = Annotated[str | None, Parameter(help="column of the label maps' paths")]
Text = Annotated[str | None, Parameter(help="column of the text that is read")]
Caption = Annotated[str | None, Parameter(help="column of the text that is to be written")]
Boxes = Annotated[str | None, Parameter(help="column of the boxes, as JSON")]
