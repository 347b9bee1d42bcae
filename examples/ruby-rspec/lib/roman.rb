# frozen_string_literal: true

# Roman numerals, 1 to 3999.
module Roman
  class Error < StandardError; end

  SYMBOLS = {
    1000 => 'M', 900 => 'CM', 500 => 'D', 400 => 'CD', 100 => 'C', 90 => 'XC',
    50 => 'L', 40 => 'XL', 10 => 'X', 9 => 'IX', 5 => 'V', 4 => 'IV', 1 => 'I'
  }.freeze

  module_function

  def write(number)
    raise Error, "#{number} is not between 1 and 3999" unless (1..3999).cover?(number)

    SYMBOLS.reduce(+'') do |text, (value, symbol)|
      count, number = number.divmod(value)
      text << (symbol * count)
    end
  end

  def read(text)
    rest = text.upcase
    number = SYMBOLS.sum do |value, symbol|
      times = 0
      times += 1 while rest.delete_prefix!(symbol)
      value * times
    end
    # One number has one form: IIII and IM are none.
    raise Error, "#{text} is no Roman numeral" unless number.positive? && rest.empty? && write(number) == text.upcase

    number
  end
end
