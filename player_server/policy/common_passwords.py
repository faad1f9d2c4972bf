"""The commonest passwords that no other rule already refuses, in small letters.

Written down by hand, Chinese ones first; no leaked list was copied. Words may be shorter than the
shortest password: such a word with digits or signs behind it is refused as well.
"""

from __future__ import annotations

_WORDS = """
0147258369 10203040 1029384756 11223344 1122334455 112233445566 1223334444 1231231234 123123123a 123321123
1233211234567 12344321 123454321 1234554321 123456654321 1234567654321 123456788 1234567890a 1234567891
12345678910 123456789123 1234567899 123456789987654321 123456789a 123456789q 123456789z 12345678a 12345678q
1234567a 1234567q 12345687 123456aa 123456abc 123456asd 123456qq 123456qwe 123456zxc 1234qwer 12369874 123698745
123qwe123 123qweasd 123qweasdzxc 13145200 1314520520 1314521521 13579246 135792468 1357924680 147258369
147852369 147896325 159357456 15935746 159753456 168168168 16816888 19491001 19841984 19880808 19891989 19900101
1q2w3e4r 1q2w3e4r5t 1qaz2wsx 1qaz2wsx3edc 1qazxsw2 20000101 20012001 20080808 20082008 2468013579 24681357
246813579 27182818 3.1415926 31415926 314159265 3141592653 321654987 456789123 520131400 5201314520
52013145201314 66668888 741852963 77585210 7758521521 77585217758521 789456123 789456123a 88886666 88888888a
963852741 987654321a a000000000 a1111111 a11111111 a111111111 a123123123 a123321 a1234567 a12345678 a123456789
a123456a a5201314 aa111111 aa123456 aa12345678 aa123456789 aaa111111 aaa111222 aaa123456 aaaa1111 abc111111
abc12345 abc123456 abc123abc abcabcabc1 abcd1234 abcd123456 admin admin123 admin1234 admin123456 adminadmin
administrator alexander1 anquan123 anthony1 arsenal1 as123456 asd12345 asd123456 asd123asd asdasd123 asdf1234
asdf123456 asdfasdf asdfgh asdfghjk asdfghjkl ashley12 autumn123 azerty azertyuiop b123456789 baobao123
baobei123 baobei520 barcelona baseball basketball batman beautiful1 beijing123 beijing2008 blink182 butterfly
c123456789 changeme changeme1 charlie1 cheesecake chelsea1 chen123456 china123 china123456 china2008 chocolate1
christian1 company123 computer cookie123 counterstrike d123456789 default1 dragon elizabeth eminem123 f123456789
facebook ferrari1 football freedom1 g123456789 gongcheng google123 guest1234 h123456789 hainan123 harley123
hello123 hello1234 hellokitty helloworld honda123 huang123 iloveyou iloveyou1 iloveyou123 internet iphone123
j123456789 january1 jennifer jessica1 jiangsu123 jiangxi123 jianzaoshi jianzhu123 jixujiaoyu jordan23 juventus1
k123456789 kaixin123 kaoshi123 killer l123456789 laogong520 laopo520 letmein letmein1 letmein123 li123456
liu123456 liverpool m123456789 manchester master mercedes metallica michael michelle microsoft mima mima1234
mimamima minecraft monday123 monkey mustang1 n123456789 nanjing123 naruto123 nicaicai nicole12 nintendo nirvana1
office123 p123456789 p@ssw0rd p@ssword pa55word passw0rd passwd password password1 password12 password123
peixun123 pineapple1 pingan123 pinganshi playstation pokemon1 porsche911 princess q123456789 q1w2e3r4 q1w2e3r4t5
qaz123456 qazwsx123 qazwsxedc qq123456 qq1234567 qq12345678 qq123456789 qqq123456 qwe12345 qwe123456 qwe123qwe
qweasd123 qweasdzxc qweqweqwe qwer1234 qwert12345 qwerty qwerty123 qwerty12345 qwertyui qwertyuiop qwertz
r123456789 realmadrid rockyou1 root1234 rootroot s123456789 samsung1 school123 shadow shanghai123 spring123
spring2025 spring2026 ss123456 starwars strawberry student123 summer123 summer2024 summer2025 summer2026
sun123456 sunshine superman suzhou123 t123456789 teacher123 test1234 testtest tiankong tiantian tongguo123
toyota123 trustno1 user1234 victoria1 w123456789 wang1234 wang123456 warcraft welcome welcome1 welcome123
whatever winter123 winter2024 winter2025 woaibaba woaimama woaini woaini123 woaini123456 woaini1314 woaini520
woaini521 woaiwo woaiwojia woaizhongguo work1234 wu123456 ww123456 x123456789 xiaohong xiaoming xiaoxiao
xingfu123 xueshi xueshi123 xuexi xuexi123 xuexi123456 xx123456 y123456789 yamaha123 yang123456 z123456789
zaq12wsx zaq1xsw2 zhang123 zhang123456 zhao123456 zhimakaimen zhongguo zhongguo123 zhonghua zhou123456 zxc123456
zxcvbn zxcvbnm1 zxcvbnm123 zxcvbnmm zxczxczxc zz123456
"""

COMMON_PASSWORDS = frozenset(_WORDS.split())
