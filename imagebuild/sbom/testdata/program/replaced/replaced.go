package replaced

// Word is a word.
const Word = "word"
