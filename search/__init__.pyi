from .errors import SearchError as SearchError
