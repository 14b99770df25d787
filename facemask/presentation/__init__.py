"""Tables, charts and contact sheets shared by the report and the review pages."""
