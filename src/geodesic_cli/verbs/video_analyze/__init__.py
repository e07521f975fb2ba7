"""`geodesic video-analyze`: how close a clip is to a geodesic, and where it departs."""
