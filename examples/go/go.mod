module example.org/shorten

go 1.19
