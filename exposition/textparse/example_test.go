package textparse_test

import (
	"fmt"
	"strings"

	"github.com/multiprom/multiprom/exposition/textparse"
)

func ExampleFamilies() {
	input := strings.NewReader(`# TYPE jobs_total counter
jobs_total{queue="mail"} 3
# TYPE workers gauge
workers four
`)
	for family, err := range textparse.Families(input, textparse.Options{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		for sample := range family.Samples() {
			fmt.Println(family.Type, sample.Name, sample.Labels, sample.Value)
		}
	}
	// Output:
	// counter jobs_total {queue="mail"} 3
	// textparse: line 4, column 9: "four" is not a number
}
