"""The classes, in the one order that every array, file and export uses."""

CLASSES: tuple[str, ...] = ("mask_weared_incorrect", "with_mask", "without_mask")
