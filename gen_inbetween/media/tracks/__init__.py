"""What a film holds beside its pictures: sound, subtitles, chapters, titles."""
