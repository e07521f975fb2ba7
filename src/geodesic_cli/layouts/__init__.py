"""How the field lays out its folders: pairs of images to go between, and sequences of frames that were drawn already.

    pairs_of(source)          X_0.png and X_1.jpg in a folder, a table a,b,prompt_a,prompt_b, or images of a class
    sequences_of(source)      a run of ours, ROOT/NAME/METHOD/*.png, ROOT/SUBSET/NAME/frames/*.png, films, strips

    labelled_images(source)   a table image,label or a folder with a folder for each label

The first two say which layout they found. What fits none is refused with a list of what was seen.
"""

from geodesic_cli.layouts.captions import Captions, captions_beside
from geodesic_cli.layouts.labelled import LabelledImages, labelled_images
from geodesic_cli.layouts.pairs import ImagePair, Near, PairsFound, pairs_of
from geodesic_cli.layouts.sequences import LAYOUTS, FoundSequence, sequences_of

__all__ = ["LAYOUTS", "Captions", "FoundSequence", "ImagePair", "LabelledImages", "Near", "PairsFound"]
__all__ += ["captions_beside", "labelled_images"]
__all__ += ["pairs_of", "sequences_of"]
