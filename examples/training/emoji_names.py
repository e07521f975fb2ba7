"""What `emoji-mini` draws: 154 things, each in three styles, that a stranger can tell apart at 64 pixels."""

SUBJECTS = {
    "faces": (
        "grinning face; grinning face with smiling eyes; face with tears of joy; rolling on the floor "
        "laughing; slightly smiling face; upside down face; winking face; smiling face with halo; smiling "
        "face with heart shaped eyes; grinning face with star eyes; face throwing a kiss; face with stuck out "
        "tongue; money mouth face; thinking face; zipper mouth face; neutral face; face without mouth; face "
        "with rolling eyes; sleeping face; face with medical mask; nauseated face; freezing face; face with "
        "cowboy hat; smiling face with sunglasses; nerd face; frowning face; face with open mouth; flushed "
        "face; crying face; loudly crying face; face screaming in fear; yawning face; pouting face; smiling "
        "face with horns; skull; clown face; ghost; extraterrestrial alien; alien monster; robot face; "
        "smiling cat face with heart shaped eyes; crying cat face; see no evil monkey"
    ),
    "hearts": (
        "broken heart; heart with arrow; heart on fire; heavy black heart; orange heart; yellow heart; green "
        "heart; blue heart; purple heart; black heart"
    ),
    "animals": (
        "monkey face; dog face; wolf face; fox face; raccoon; cat face; lion face; tiger face; horse face; "
        "unicorn face; cow face; pig face; mouse face; hamster face; rabbit face; bear face; koala; panda "
        "face; polar bear; frog face; cat; dog; elephant; paw prints; chicken; front facing baby chick; "
        "penguin; owl; turtle; fish; tropical fish; spouting whale; octopus; crab; butterfly; lady beetle"
    ),
    "plants": (
        "cherry blossom; rose; sunflower; tulip; evergreen tree; deciduous tree; palm tree; cactus; four leaf "
        "clover; maple leaf; mushroom"
    ),
    "food": (
        "grapes; watermelon; tangerine; lemon; banana; pineapple; red apple; green apple; pear; peach; "
        "cherries; strawberry; tomato; avocado; aubergine; carrot; ear of maize; hot pepper; broccoli; bread; "
        "croissant; pretzel; cheese wedge; hamburger; french fries; slice of pizza; hot dog; cooking; "
        "doughnut; cookie; soft ice cream; birthday cake; lollipop; hot beverage; beer mug; wine glass"
    ),
    "things": (
        "full moon with face; crescent moon; sun with face; white medium star; cloud; rainbow; fire; snowman "
        "without snow; bus; automobile; taxi; rocket; soccer ball; basketball and hoop; balloon; jack o "
        "lantern; christmas tree; wrapped present"
    ),
}
NAMES = tuple(name for group in SUBJECTS.values() for name in group.split("; "))
