-- Was this help article helpful: a count per article and language.

-- posthouse::site::help::votes
CREATE TABLE help_votes (
    article TEXT NOT NULL,
    lang TEXT NOT NULL,
    helpful {int} NOT NULL,
    not_helpful {int} NOT NULL,
    PRIMARY KEY (article, lang)
) {clustered};
