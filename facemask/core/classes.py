"""The classes and their titles, in the order that every array, file and export uses."""

CLASSES: tuple[str, ...] = ("mask_weared_incorrect", "with_mask", "without_mask")

TITLES = {
    "mask_weared_incorrect": "Mask worn incorrectly",
    "with_mask": "Mask worn correctly",
    "without_mask": "No mask",
}
