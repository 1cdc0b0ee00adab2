"""A search's folder: what lies in it, who may write it, and how it is read and gone on with."""
