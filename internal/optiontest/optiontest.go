package optiontest

import (
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Row says which values of a field are valid. In the zero Row, 0 is the default, negative
// numbers and NaN are errors (in a list of numbers, only NaN), and any other value is valid.
type Row struct {
	Needed  bool    // zero is an error
	Special []int64 // negative values with a meaning: NoLimit, KeepNone
	Any     bool    // every number is valid
	Bad     []any   // values that are errors
	Good    []any   // values that are valid although they look wrong
}

// Check sets the exported fields of base, one at a time, and calls try with the options.
// An invalid value must be an error that names the field. Every field needs a row. Fields
// of a struct in a field are called Field.Inner, and those of an embedded struct Inner.
func Check[T any](t *testing.T, base T, rows map[string]Row, try func(T) error) {
	t.Helper()
	if err := call(base, try); err != nil {
		t.Fatalf("the options that the others are tried beside: %v", err)
	}
	c := checker[T]{t: t, base: base, rows: rows, try: try, seen: map[string]bool{}}
	c.walk(reflect.TypeFor[T](), nil, "")
	for name := range rows {
		if !c.seen[name] {
			t.Errorf("%T has no field %s", base, name)
		}
	}
}

type checker[T any] struct {
	t    *testing.T
	base T
	rows map[string]Row
	try  func(T) error
	seen map[string]bool
}

func (c *checker[T]) walk(typ reflect.Type, index []int, prefix string) {
	for i := range typ.NumField() {
		f := typ.Field(i)
		if !f.IsExported() {
			continue
		}
		at, name := append(slices.Clone(index), i), prefix+f.Name
		_, decided := c.rows[name]
		if f.Type.Kind() == reflect.Struct && !decided {
			if f.Anonymous {
				c.walk(f.Type, at, prefix)
			} else {
				c.walk(f.Type, at, name+".")
			}
			continue
		}
		if !decided {
			c.t.Errorf("%T: no row says what field %s makes of its zero, of negative values and of nonsense", c.base, name)
			continue
		}
		c.seen[name] = true
		c.field(f.Type, at, name)
	}
}

// field tries the values of one field.
func (c *checker[T]) field(typ reflect.Type, index []int, name string) {
	row := c.rows[name]
	set := func(value reflect.Value) error {
		opts := c.base
		reflect.ValueOf(&opts).Elem().FieldByIndex(index).Set(value)
		return call(opts, c.try)
	}
	right := func(value reflect.Value) {
		if err := set(value); err != nil {
			c.t.Errorf("%T: %s = %v: %v", c.base, name, value, err)
		}
	}
	wrong := func(value reflect.Value) {
		err := set(value)
		last := name[strings.LastIndex(name, ".")+1:]
		switch {
		case err == nil:
			c.t.Errorf("%T: %s = %v is replaced in silence", c.base, name, value)
		case !strings.Contains(err.Error(), last):
			c.t.Errorf("%T: %s = %v: the error does not name the field: %v", c.base, name, value, err)
		}
	}
	if zero := reflect.Zero(typ); row.Needed {
		wrong(zero)
	} else {
		right(zero)
	}
	if typ.Kind() == reflect.Int || typ.Kind() == reflect.Int64 {
		for _, n := range []int64{-1, -2, -7, -1 << 31} {
			if value := reflect.ValueOf(n).Convert(typ); row.Any || slices.Contains(row.Special, n) {
				right(value)
			} else {
				wrong(value)
			}
		}
	}
	switch nan := math.NaN(); {
	case row.Any:
	case typ.Kind() == reflect.Float64:
		wrong(reflect.ValueOf(nan).Convert(typ))
		wrong(reflect.ValueOf(-1.0).Convert(typ))
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() == reflect.Float64:
		wrong(reflect.ValueOf([]float64{nan}).Convert(typ))
		wrong(reflect.ValueOf([]float64{1, nan}).Convert(typ))
	}
	for _, v := range row.Bad {
		wrong(reflect.ValueOf(v).Convert(typ))
	}
	for _, v := range row.Good {
		right(reflect.ValueOf(v).Convert(typ))
	}
}

// call turns a panic into an error, because a constructor without an error result panics.
func call[T any](opts T, try func(T) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v", v)
		}
	}()
	return try(opts)
}
